-- Take a whole list away, so that nobody takes anything out of it any more.
-- KEYS: 1 a key that never exists, 2 the list, 3 where it goes
-- ARGV: 1 seconds after which it is forgotten there
-- Returns how many elements are there.
local there = redis.call('LLEN', KEYS[3])
if there == 0 and redis.call('LLEN', KEYS[2]) > 0 then
  redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
  redis.call('RENAME', KEYS[2], KEYS[3])
  redis.call('EXPIRE', KEYS[3], ARGV[1])
  there = redis.call('LLEN', KEYS[3])
end
return there
