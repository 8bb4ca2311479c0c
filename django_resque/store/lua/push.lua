-- Put jobs on their queues, or among the delayed ones, once, however often the same push arrives.
-- KEYS: 1 the producer's last number, 2 the set of queues, 3 the bell's channel, 4 the delayed schedule;
--       then for each job its queue and its status
-- ARGV: 1 number of this push, 2 seconds the number is remembered, 3 seconds a status is kept, 4 the prefix of all keys;
--       then for each job the queue's name, the payload, the status ('' = not tracked), and '' or, with line feeds between
--       them: when it is due (a unix second, or + and seconds from now, or nothing), id, key of uniqueness ('' = none),
--       seconds the key is held
-- Builds from the prefix: delayed:<second>, timestamps:<payload>, django:unique:<key>
-- Returns {place of a job that was not pushed because another waits under its key, that one's id, …}.
local number = tonumber(ARGV[1])
local before = redis.call('GET', KEYS[1]) or '0'
local last = tonumber(string.match(before, '^%d+'))

local function words(text)
  local found = {}
  for word in string.gmatch(text, '%S+') do
    found[#found + 1] = tonumber(#found % 2 == 0 and word) or word
  end
  return found
end

if number == last then
  return words(string.match(before, '^%d+(.*)$'))
elseif number < last then
  return redis.error_reply('STALE push ' .. ARGV[1] .. ' arrived after a later one of the same producer')
end

local function must_be(kind, key)
  local found = redis.call('TYPE', key)['ok']
  if found ~= kind and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and not a ' .. kind)
  end
end

local function split(how) -- when it is due, id, key, seconds
  return string.match(how, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
end

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function second_of(due) -- nil when that has passed
  if due == '' then
    return nil
  elseif string.sub(due, 1, 1) == '+' then
    due = math.ceil(now + tonumber(due))
  end
  return tonumber(due) > now and string.format('%.0f', due) or nil
end

local wrong = must_be('set', KEYS[2]) or must_be('zset', KEYS[4])
for job = 0, (#KEYS - 4) / 2 - 1 do
  local how, payload = ARGV[8 + 4 * job], ARGV[6 + 4 * job]
  local key, second = KEYS[5 + 2 * job], nil
  if how ~= '' then
    local due, _, unique = split(how)
    second = second_of(due)
    wrong = wrong or unique ~= '' and must_be('string', ARGV[4] .. 'django:unique:' .. unique)
  end
  if second then
    wrong = wrong or must_be('list', ARGV[4] .. 'delayed:' .. second) or must_be('set', ARGV[4] .. 'timestamps:' .. payload)
  else
    wrong = wrong or must_be('list', key)
  end
end
if wrong then
  return wrong
end

-- A full server refuses the first of these writes and then nothing is changed; it never refuses a later one.
local seen, others = {}, {}
for job = 0, (#KEYS - 4) / 2 - 1 do
  local queue, status = KEYS[5 + 2 * job], KEYS[6 + 2 * job]
  local name, payload, waiting, how = ARGV[5 + 4 * job], ARGV[6 + 4 * job], ARGV[7 + 4 * job], ARGV[8 + 4 * job]
  local second, other, kept = nil, nil, ARGV[3]
  if how ~= '' then
    local due, id, unique, seconds = split(how)
    second = second_of(due)
    if second then
      kept = math.ceil(kept + second - now)
    end
    if unique ~= '' then
      local key = ARGV[4] .. 'django:unique:' .. unique
      if second then
        seconds = math.ceil(seconds + second - now)
      end
      if not redis.call('SET', key, id, 'NX', 'EX', seconds) then
        other = redis.call('GET', key)
        others[#others + 1] = job
        others[#others + 1] = other
      end
    end
  end
  if not other then
    if second then
      redis.call('RPUSH', ARGV[4] .. 'delayed:' .. second, payload)
      redis.call('ZADD', KEYS[4], second, second)
      redis.call('SADD', ARGV[4] .. 'timestamps:' .. payload, 'delayed:' .. second)
      if tonumber(second) - now < 2 then
        redis.pcall('PUBLISH', KEYS[3], ':due')
      end
    else
      local length = redis.call('RPUSH', queue, payload)
      waiting = string.gsub(waiting, '^{"status":63,', '{"status":1,')
      if not seen[name] then
        seen[name] = true
        redis.call('SADD', KEYS[2], name)
        if length == 1 then
          redis.pcall('PUBLISH', KEYS[3], name) -- who may not ring the bell may push all the same
        end
      end
    end
    if waiting ~= '' then
      redis.call('SET', status, waiting, 'EX', kept)
    end
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. (#others > 0 and ' ' .. table.concat(others, ' ') or ''), 'EX', ARGV[2])
return others
