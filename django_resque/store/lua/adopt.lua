-- Make reservations whose process nobody knows any more those of a dead process, for the workers to give back.
-- KEYS: 1 a key that never exists, 2 the reservations, 3 the processes, 4 the process
-- ARGV: 1 the name of the process, 2 1 = only look
-- Returns how many there are.
local held = redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[3])
if held > 0 and ARGV[2] ~= '1' then
  redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
  redis.call('HDEL', KEYS[4], 'number')
  redis.call('ZADD', KEYS[3], 0, ARGV[1] .. ' unknown')
end
return held
