-- Go on with an entry of the schedule, from now on: its slots so far are done with.
-- KEYS: 1 the names that are paused, 2 the slots that are done with, 3 the schedule's version, 4 the bell's channel
-- ARGV: 1 name
-- Returns 1, or 0 when it is not paused.
redis.call('HLEN', KEYS[2])
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then
  return 0
end

redis.call('INCR', KEYS[3]) -- first, for it refuses what is no number
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], redis.call('TIME')[1])
redis.pcall('PUBLISH', KEYS[4], ':schedule')
return 1
