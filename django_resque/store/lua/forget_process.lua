-- Forget a worker process that is dead and holds no job, with its workers.
-- KEYS: 1 a key that never exists, 2 the process, 3 its reservations, 4 the processes, 5 the set of workers,
--       6 the heartbeats, 7 what it is asked to do
-- ARGV: 1 the prefix of all keys, 2 the member of the processes that it is ('' = none is), 3 1 = only look
-- Builds from the prefix: worker:<id>, worker:<id>:started, stat:processed:<id>, stat:failed:<id>
-- Returns {state, workers}: state is 'forgotten', 'gone' already, 'alive' (its lease lasts), or 'holds' (it holds jobs).
local lease = ARGV[2] ~= '' and redis.call('ZSCORE', KEYS[4], ARGV[2])
if lease and tonumber(lease) > tonumber(redis.call('TIME')[1]) then
  return {'alive', 0}
elseif redis.call('HLEN', KEYS[3]) > 0 then
  return {'holds', 0}
elseif not lease and redis.call('EXISTS', KEYS[2]) == 0 then
  return {'gone', 0}
end
redis.call('SCARD', KEYS[5])
local ids = redis.call('HGET', KEYS[2], 'workers')
local count = 0
if ARGV[3] ~= '1' then
  redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
end
for id in string.gmatch(ids or '', '[^\n]+') do
  count = count + 1
  if ARGV[3] ~= '1' then
    local worker = ARGV[1] .. 'worker:' .. id
    redis.call('SREM', KEYS[5], id)
    redis.pcall('HDEL', KEYS[6], id) -- which may have become something else
    redis.call('DEL', worker, worker .. ':started', ARGV[1] .. 'stat:processed:' .. id, ARGV[1] .. 'stat:failed:' .. id)
  end
end
if ARGV[3] ~= '1' then
  redis.call('DEL', KEYS[2], KEYS[7])
  if lease then
    redis.call('ZREM', KEYS[4], ARGV[2])
  end
end
return {'forgotten', count}
