-- Free permits whose reservation is gone, and let parked jobs go on that nobody else would.
-- KEYS: 1 a key that never exists, 2 parking, 3 queues, 4 the bell's channel, 5 the paused queues
-- ARGV: 1 the prefix of all keys, 2 keys of concurrency to look at, 3 permits of each to look at
-- Builds from the prefix: django:permits:<key>, django:parked:<key>, django:unparked:<key>,
--       django:reservations:<process>, queue:<q>
-- Returns {permits that were freed, jobs that are back in their queues, {trouble, …}}.
local prefix = ARGV[1]
redis.call('SCARD', KEYS[2])
redis.call('SCARD', KEYS[3])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full

local trouble = {}
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    trouble[#trouble + 1] = reply.err .. ' (' .. tostring(select(2, ...)) .. ')'
    return nil
  end
  return reply
end

local now = redis.call('TIME')[1]
local freed, unparked = 0, 0
local function free_lost(permits) -- gives how many there may be, as far as the others tell
  local some, most = try('HRANDFIELD', permits, ARGV[3], 'WITHVALUES') or {}, 1
  for i = 1, #some, 2 do
    local process, token = string.match(some[i], '^([^.]*)%.(.*)$')
    if process and redis.pcall('HEXISTS', prefix .. 'django:reservations:' .. process, token) == 1 then
      most = tonumber(some[i + 1]) or 1
    else
      freed = freed + redis.call('HDEL', permits, some[i])
    end
  end
  return most
end

local function unpark(parked, on_the_way)
  local first = try('LINDEX', parked, 0)
  if not first then
    return
  end
  local line = string.find(first, '\n', 1, true) or 0
  local queue, payload = string.sub(first, 1, line - 1), string.sub(first, line + 1)
  local waits = redis.pcall('SISMEMBER', KEYS[5], queue) == 1
  if waits or not try('LPUSH', prefix .. 'queue:' .. queue, payload) then
    redis.call('LMOVE', parked, parked, 'LEFT', 'RIGHT') -- its queue is paused, or no list any more: others go first
    return
  end
  redis.call('LPOP', parked)
  redis.call('SADD', KEYS[3], queue)
  try('ZADD', on_the_way, now, redis.sha1hex(payload))
  try('EXPIRE', on_the_way, 60)
  redis.pcall('PUBLISH', KEYS[4], queue)
  unparked = unparked + 1
end

for _, key in ipairs(redis.call('SRANDMEMBER', KEYS[2], ARGV[2])) do
  local permits, parked = prefix .. 'django:permits:' .. key, prefix .. 'django:parked:' .. key
  local on_the_way = prefix .. 'django:unparked:' .. key
  local most = free_lost(permits)
  local free = most - (try('HLEN', permits) or 0) - (try('ZCOUNT', on_the_way, now - 60, '+inf') or 0)
  for _ = 1, math.min(2, free) do
    unpark(parked, on_the_way)
  end
  if try('LLEN', parked) == 0 then
    redis.call('SREM', KEYS[2], key)
  end
end
return {freed, unparked, trouble}
