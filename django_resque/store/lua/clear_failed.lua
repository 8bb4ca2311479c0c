-- Remove all failure records. The server frees their memory in the background.
-- KEYS: 1 failed
-- Returns how many there were.
local count = redis.call('LLEN', KEYS[1])
redis.call('UNLINK', KEYS[1])
return count
