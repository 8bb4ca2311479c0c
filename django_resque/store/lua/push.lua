-- Put jobs on their queues, once, however often the same push arrives.
-- KEYS: 1 the producer's last number, 2 the set of queues, 3 the bell's channel;
--       then for each job its queue and its status
-- ARGV: 1 number of this push, 2 seconds the number is remembered, 3 seconds a status is kept;
--       then for each job the queue's name, the payload, the status ('' = not tracked)
-- Returns 1 when pushed now, 0 when this push had been carried out before.
local number = tonumber(ARGV[1])
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
if number == last then
  return 0
elseif number < last then
  return redis.error_reply('STALE push ' .. ARGV[1] .. ' arrived after a later one of the same producer')
end

local function must_be(kind, key)
  local found = redis.call('TYPE', key)['ok']
  if found ~= kind and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and not a ' .. kind)
  end
end

local wrong = must_be('set', KEYS[2])
for i = 4, #KEYS, 2 do
  wrong = wrong or must_be('list', KEYS[i])
end
if wrong then
  return wrong
end

-- A full server refuses the first of these writes and then nothing is changed; it never refuses a later one.
local seen = {}
for job = 0, (#KEYS - 3) / 2 - 1 do
  local queue, status = KEYS[4 + 2 * job], KEYS[5 + 2 * job]
  local name, payload, waiting = ARGV[4 + 3 * job], ARGV[5 + 3 * job], ARGV[6 + 3 * job]
  local length = redis.call('RPUSH', queue, payload)
  if waiting ~= '' then
    redis.call('SET', status, waiting, 'EX', ARGV[3])
  end
  if not seen[name] then
    seen[name] = true
    redis.call('SADD', KEYS[2], name)
    if length == 1 then
      redis.pcall('PUBLISH', KEYS[3], name) -- who may not ring the bell may push all the same
    end
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
