-- Remove the heartbeats of workers that are not registered.
-- KEYS: 1 a key that never exists, 2 the heartbeats, 3 the set of workers
-- ARGV: 1 1 = only look; then ids of workers
-- Returns how many there were.
redis.call('HLEN', KEYS[2])
redis.call('SCARD', KEYS[3])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
local count = 0
for at = 2, #ARGV do
  if redis.call('SISMEMBER', KEYS[3], ARGV[at]) == 0 then
    count = count + redis.call(ARGV[1] == '1' and 'HEXISTS' or 'HDEL', KEYS[2], ARGV[at])
  end
end
return count
