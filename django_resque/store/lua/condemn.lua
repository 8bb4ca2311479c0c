-- Declare a worker process dead, from which moment on it can tell nothing more, and show what it held.
-- KEYS: 1 a key that never exists, 2 the process, 3 its reservations, 4 the processes, 5 crashes, 6 failed,
--       7 the set of workers
-- ARGV: 1 the member of the processes that it is, 2 1 = its death is proved, 0 = only when its lease has ended,
--       3 name of the process that buries it, 4 seconds in which nobody else does
-- Returns {state, first, {worker, …}, reservations, {token, reserved, crashes, …}, {failure, …}}: state is 'dead', 'alive', 'unknown'
--         (no such process any more) or 'taken' (another is burying it); first is 1 for who declares it dead; the
--         reservations made last come first, at most 100 of them and about a megabyte, with -1 for crashes where a
--         payload has none; the last 100 failures, but only when another program has taken one of its workers off the
--         boards.
local now = tonumber(redis.call('TIME')[1])
local lease = redis.call('ZSCORE', KEYS[4], ARGV[1])
if not lease then
  return {'unknown', 0, {}, 0, {}, {}}
end
redis.call('HLEN', KEYS[3])
redis.call('HLEN', KEYS[5])
redis.call('LLEN', KEYS[6])
redis.call('SCARD', KEYS[7])
local process = redis.call('HMGET', KEYS[2], 'number', 'workers', 'buried until', 'buried by')
local first = 0
if process[1] then
  if ARGV[2] ~= '1' and tonumber(lease) > now then
    return {'alive', 0, {}, 0, {}, {}}
  end
  first = 1
elseif process[3] and tonumber(process[3]) > now and process[4] ~= ARGV[3] then
  return {'taken', 0, {}, 0, {}, {}}
end

redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
redis.call('HDEL', KEYS[2], 'number') -- without it the process is gone for itself
redis.call('HSET', KEYS[2], 'buried until', now + ARGV[4], 'buried by', ARGV[3])
redis.call('ZADD', KEYS[4], 0, ARGV[1])

local workers, failures = {}, {}
for worker in string.gmatch(process[2] or '', '[^\n]+') do
  workers[#workers + 1] = worker
  if #failures == 0 and redis.call('SISMEMBER', KEYS[7], worker) == 0 then
    failures = redis.call('LRANGE', KEYS[6], -100, -1)
  end
end
-- The jobs go back to the heads of their queues one before the other: the last has to go first, over all calls.
local tokens, held, size = redis.call('HKEYS', KEYS[3]), {}, 0
local taken = {}
for _, token in ipairs(tokens) do
  local turn, place = string.match(token, '^(%d+)%.(%d+)$')
  taken[token] = tonumber(turn or 0) * 1e6 + tonumber(place or 0)
end
table.sort(tokens, function(one, other)
  return taken[one] > taken[other]
end)
for i = 1, math.min(#tokens, 100) do
  local reserved = redis.call('HGET', KEYS[3], tokens[i])
  local payload = string.sub(reserved, (string.find(reserved, '\n', 1, true) or 0) + 1)
  held[#held + 1] = tokens[i]
  held[#held + 1] = reserved
  held[#held + 1] = tonumber(redis.call('HGET', KEYS[5], redis.sha1hex(payload)) or '-1') or -1
  size = size + #reserved
  if size > 1000000 then
    break
  end
end
return {'dead', first, workers, #tokens, held, failures}
