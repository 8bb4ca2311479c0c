-- Take a queue off the set of queues, unless a job waits in it.
-- KEYS: 1 the set of queues, 2 the queue
-- ARGV: 1 its name
-- Returns 1 when it is not in the set now, else 0.
redis.call('SCARD', KEYS[1])
if redis.call('LLEN', KEYS[2]) > 0 then
  return 0
end
redis.call('SREM', KEYS[1], ARGV[1])
return 1
