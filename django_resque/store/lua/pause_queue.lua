-- Have no jobs taken from a queue, or have them taken again.
-- KEYS: 1 a key that never exists, 2 the set of paused queues, 3 the bell's channel, 4 the hash of who has paused them
-- ARGV: 1 the queue's name, 2 'pause' or 'resume', 3 who does it
-- Returns 1, or 0 when it was so before.
redis.call('SCARD', KEYS[2])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
if ARGV[2] == 'pause' then
  local new = redis.call('SADD', KEYS[2], ARGV[1])
  if new == 1 and ARGV[3] ~= '' then
    redis.pcall('HSET', KEYS[4], ARGV[1], ARGV[3])
  end
  return new
end
redis.pcall('HDEL', KEYS[4], ARGV[1])
redis.pcall('PUBLISH', KEYS[3], ARGV[1]) -- who may not ring the bell may resume all the same
return redis.call('SREM', KEYS[2], ARGV[1])
