-- Take a worker process off the boards. Its reservations stay, and the process with them, when there are any left.
-- KEYS: 1 the process, 2 the processes, 3 its reservations, 4 the set of workers, 5 the heartbeats;
--       then for each worker: its job, its start time, its processed and its failed counter
-- ARGV: 1 the member of the processes that is this one; then for each worker its id
-- Returns the number of reservations left.
local left = redis.call('HLEN', KEYS[3])
redis.call('ZCARD', KEYS[2])
redis.call('SCARD', KEYS[4])
for i = 2, #ARGV do
  local first = 6 + 4 * (i - 2)
  redis.call('DEL', KEYS[first], KEYS[first + 1], KEYS[first + 2], KEYS[first + 3])
  redis.call('SREM', KEYS[4], ARGV[i])
  redis.pcall('HDEL', KEYS[5], ARGV[i]) -- which may have become something else
end
if left == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return left
