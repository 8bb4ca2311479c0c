-- Put shorter failure records in the place of older ones, each only while it is still where it was read.
-- KEYS: 1 a key that never exists, 2 failed
-- ARGV: for each record: position, what stands there, what shall stand there
-- Returns how many were replaced.
redis.call('LLEN', KEYS[2])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
local replaced = 0
for i = 1, #ARGV, 3 do
  if redis.call('LINDEX', KEYS[2], ARGV[i]) == ARGV[i + 1] then
    redis.call('LSET', KEYS[2], ARGV[i], ARGV[i + 2])
    replaced = replaced + 1
  end
end
return replaced
