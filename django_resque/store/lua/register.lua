-- Make a worker process and its workers known.
-- KEYS: 1 a key that never exists, 2 the process, 3 the set of processes, 4 the set of workers, 5 the heartbeats;
--       then for each worker its start time
-- ARGV: 1 name of the process, 2 when it started, 3 the heartbeat; then for each worker its id
-- Returns 1, or 0 when another process of this name is registered already.
redis.call('SCARD', KEYS[3])
redis.call('SCARD', KEYS[4])
if redis.call('EXISTS', KEYS[2]) == 1 then
  return redis.call('SISMEMBER', KEYS[4], ARGV[4]) -- 1 when it is this one, and the answer was lost
end
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
redis.call('HSET', KEYS[2], 'number', 0)
redis.call('SADD', KEYS[3], ARGV[1])
for i = 4, #ARGV do
  redis.call('SADD', KEYS[4], ARGV[i])
  redis.call('SET', KEYS[i + 2], ARGV[2])
  redis.pcall('HSET', KEYS[5], ARGV[i], ARGV[3]) -- for what people look at; the next beat tells what is wrong with it
end
return 1
