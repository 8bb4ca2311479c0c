-- Pause an entry of the schedule.
-- KEYS: 1 the names that are paused, 2 the schedule's version, 3 the bell's channel
-- ARGV: 1 name
-- Returns 1, or 0 when it is paused already.
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then
  return 0
end

redis.call('INCR', KEYS[2]) -- first, for it refuses what is no number
redis.call('SADD', KEYS[1], ARGV[1])
redis.pcall('PUBLISH', KEYS[3], ':schedule')
return 1
