-- Take a worker of ours off the boards, whose process is not there any more.
-- KEYS: 1 a key that never exists, 2 its process, 3 the reservations of that, 4 the set of workers, 5 the heartbeats,
--       6 its job, 7 its start time, 8 its processed and 9 its failed counter
-- ARGV: 1 its id, 2 1 = only look
-- Returns 1, or 0 when its process is there, or holds jobs.
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then
  return 0
end
redis.call('SCARD', KEYS[4])
if ARGV[2] ~= '1' then
  redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
  redis.call('SREM', KEYS[4], ARGV[1])
  redis.pcall('HDEL', KEYS[5], ARGV[1]) -- which may have become something else
  redis.call('DEL', KEYS[6], KEYS[7], KEYS[8], KEYS[9])
end
return 1
