-- What a worker process has reserved, by Redis' account.
-- KEYS: 1 its reservations
-- Returns {token, reserved, …}, about a hundred of them.
return redis.call('HSCAN', KEYS[1], 0, 'COUNT', 100)[2]
