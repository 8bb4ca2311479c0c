-- How many jobs there are in each state. For looking alone.
-- KEYS: 1 queues, 2 the delayed schedule, 3 workers, 4 the retries, 5 the jobs that ended last, 6 failed, 7 parking
-- ARGV: 1 the prefix of all keys, 2 most queues, workers and keys of concurrency, each, 3 most seconds and ended jobs, each
-- Builds from the prefix: queue:<q>, delayed:<second>, worker:<id>, django:parked:<key>
-- Returns {{seconds, microseconds}, {queue, length or -1, …}, queues in all, {key of concurrency, parked, …}, such keys in
--         all, delayed, seconds that were left out, {worker that has a job, …}, workers that were left out, retries,
--         complete, ended ones that were left out, failed, {trouble, …}}.
local prefix, trouble = ARGV[1], {}

local function ask(otherwise, ...) -- what is broken must not stand in the way of the rest
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    trouble[#trouble + 1] = select(2, ...) .. ': ' .. reply.err
    return otherwise
  end
  return reply
end

local function some(key) -- bounded, where SMEMBERS is not
  return ask({'0', {}}, 'SSCAN', key, 0, 'COUNT', ARGV[2])[2]
end

local function lengths(names, of)
  local found = {}
  for _, name in ipairs(names) do
    local length = redis.pcall('LLEN', of .. name)
    found[#found + 1] = name
    found[#found + 1] = type(length) == 'number' and length or -1
  end
  return found
end

local delayed, seconds = 0, ask({}, 'ZRANGE', KEYS[2], 0, ARGV[3] - 1)
for _, second in ipairs(seconds) do
  local length = redis.pcall('LLEN', prefix .. 'delayed:' .. second)
  delayed = delayed + (type(length) == 'number' and length or 0)
end

local busy, workers = {}, some(KEYS[3])
for _, worker in ipairs(workers) do
  if redis.call('EXISTS', prefix .. 'worker:' .. worker) == 1 then
    busy[#busy + 1] = worker
  end
end

local complete, ended = 0, ask({}, 'LRANGE', KEYS[5], 0, ARGV[3] - 1)
for _, status in ipairs(ended) do
  if string.find(status, '^{"status": ?4,') then -- complete
    complete = complete + 1
  end
end

return {
  redis.call('TIME'),
  lengths(some(KEYS[1]), prefix .. 'queue:'),
  ask(0, 'SCARD', KEYS[1]),
  lengths(some(KEYS[7]), prefix .. 'django:parked:'),
  ask(0, 'SCARD', KEYS[7]),
  delayed,
  ask(0, 'ZCARD', KEYS[2]) - #seconds,
  busy,
  ask(0, 'SCARD', KEYS[3]) - #workers,
  ask(0, 'ZCARD', KEYS[4]),
  complete,
  ask(0, 'LLEN', KEYS[5]) - #ended,
  ask(0, 'LLEN', KEYS[6]),
  trouble,
}
