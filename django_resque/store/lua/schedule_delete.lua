-- Delete an entry of the schedule that was added at run time, and what is known of its name.
-- KEYS: 1 the entries of run time, 2 the slots that are done with, 3 since when entries have been seen, 4 the names that
--       are paused, 5 the schedule's version, 6 the bell's channel,
--       7 the last jobs, 8 the slots that were missed
-- ARGV: 1 name
-- Returns 1, or 0 when there is no such entry.
redis.call('HLEN', KEYS[2])
redis.call('SCARD', KEYS[4])
local seen = redis.call('HKEYS', KEYS[3])
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 0
end

redis.call('INCR', KEYS[5]) -- first, for it refuses what is no number
redis.call('HDEL', KEYS[1], ARGV[1])
for _, field in ipairs(seen) do
  if string.sub(field, 1, -42) == ARGV[1] then
    redis.call('HDEL', KEYS[3], field)
  end
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[1])
redis.pcall('HDEL', KEYS[7], ARGV[1])
redis.pcall('HDEL', KEYS[8], ARGV[1])
redis.pcall('PUBLISH', KEYS[6], ':schedule')
return 1
