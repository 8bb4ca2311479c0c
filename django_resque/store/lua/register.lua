-- Make a worker process and its workers known.
-- KEYS: 1 the process, 2 the set of processes, 3 the set of workers, 4 the heartbeats; then for each worker its start time
-- ARGV: 1 name of the process, 2 when it started, 3 the heartbeat; then for each worker its id
-- Returns 1, or 0 when a process of this name is registered already.
redis.call('SCARD', KEYS[2])
redis.call('SCARD', KEYS[3])
redis.call('HLEN', KEYS[4])
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], 'number', 0)
redis.call('SADD', KEYS[2], ARGV[1])
for i = 4, #ARGV do
  redis.call('SADD', KEYS[3], ARGV[i])
  redis.call('SET', KEYS[i + 1], ARGV[2])
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[3])
end
return 1
