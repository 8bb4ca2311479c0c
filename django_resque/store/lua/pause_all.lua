-- Have no worker take jobs, other programs' too, or have them all take jobs again.
-- KEYS: 1 a key that never exists, 2 pause-all-workers, 3 the bell's channel, 4 queues
-- ARGV: 1 'pause' or 'resume', 2 how many queues ring at most
-- Returns 1.
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
if ARGV[1] == 'pause' then
  redis.call('SET', KEYS[2], 'true')
  return 1
end
redis.call('DEL', KEYS[2])
local queues = redis.pcall('SRANDMEMBER', KEYS[4], ARGV[2]) -- the others are found at the next look, within a second
for _, queue in ipairs(queues) do -- an error has no elements
  redis.pcall('PUBLISH', KEYS[3], queue)
end
return 1
