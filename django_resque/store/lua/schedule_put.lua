-- Add or change an entry of the schedule at run time.
-- KEYS: 1 the entries of run time, 2 since when entries have been seen, 3 the schedule's version, 4 the bell's channel
-- ARGV: 1 name, 2 the entry, 3 the entry in whose place it is put ('' = there is none of this name), 4 digest,
--       5 1 = it has other slots than the one before, 6 how many entries there may be
-- Returns 'done', 'full', or 'other' when what stands there is not what was to be replaced.
local there = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if there ~= ARGV[3] then
  return 'other'
elseif there == '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then
  return 'full'
end
redis.call('HLEN', KEYS[2])

redis.call('INCR', KEYS[3]) -- first, for it refuses what is no number
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[5] == '1' then
  local now = redis.call('TIME')[1]
  redis.call('HSET', KEYS[2], ARGV[1] .. ' ' .. ARGV[4], now .. ' ' .. now)
end
redis.pcall('PUBLISH', KEYS[4], ':schedule')
return 'done'
