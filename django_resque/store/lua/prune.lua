-- Take another program's dead worker off the boards, its job into the failed list.
-- KEYS: 1 a key that never exists, 2 the set of workers, 3 the heartbeats, 4 failed, 5 stat:processed, 6 stat:failed,
--       7 the Ruby worker that prunes at the moment
-- ARGV: 1 the prefix of all keys, 2 id of the worker, 3 its heartbeat, 4 '' when it has no job, 5 its job,
--       6 failure record ('' = none)
-- Builds from the prefix: worker:<id>, worker:<id>:started, stat:processed:<id>, stat:failed:<id>
-- Returns 1, or 0 when something of this has changed since it was read, or a Ruby worker prunes.
local worker = ARGV[1] .. 'worker:' .. ARGV[2]
local same = redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 1 and redis.call('HGET', KEYS[3], ARGV[2]) == ARGV[3]
local current = redis.call('GET', worker)
if ARGV[4] == '' then
  same = same and not current
else
  same = same and current == ARGV[5]
end
redis.call('LLEN', KEYS[4])
if not same or redis.call('EXISTS', KEYS[7]) == 1 then
  return 0
end

redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
if ARGV[6] ~= '' then
  redis.call('RPUSH', KEYS[4], ARGV[6])
  redis.pcall('INCR', KEYS[5]) -- counters are for people to look at
  redis.pcall('INCR', KEYS[6])
end
redis.call('SREM', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('DEL', worker, worker .. ':started', ARGV[1] .. 'stat:processed:' .. ARGV[2], ARGV[1] .. 'stat:failed:' .. ARGV[2])
return 1
