-- Find the delayed jobs that are due, and tell the family's other schedulers that this one is at work.
-- KEYS: 1 a key that never exists, 2 the delayed schedule, 3 Ruby's lock, 4 node's lock,
--       5 the scheduler that looked last, 6 the retries
-- ARGV: 1 the prefix of all keys, 2 what our locks hold, 3 seconds they hold, 4 seconds that the look counts,
--       5 most items, 6 most bytes
-- Builds from the prefix: delayed:<second>
-- Returns {holder of a lock that is not ours or '', 1 when a lock is this process's own, {second, {item, …}, …},
--         score of the first second that is not all in the answer or '', score of the first retry or '', server time,
--         {trouble, …}}. Another's lock: no items. One item at least, if there is any.
local time = redis.call('TIME')
local now = string.format('%s.%06d', time[1], time[2])
redis.call('ZCARD', KEYS[2])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full

local trouble = {}
local function try(...) -- what is broken must not stand in the way of the rest
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    trouble[#trouble + 1] = reply.err .. ' (' .. tostring(select(2, ...)) .. ')'
    return nil
  end
  return reply
end

try('SET', KEYS[5], ARGV[2], 'EX', ARGV[4])
local retry = (try('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES') or {})[2] or ''

local holder, own = '', 0
local held = {try('GET', KEYS[3]), try('GET', KEYS[4])} -- nil where it is no text: nobody can hold that one
for i = 1, 2 do
  if held[i] and string.sub(held[i], 1, 7) ~= 'django:' then
    holder = held[i]
  end
end
if holder ~= '' then
  return {holder, own, {}, '', retry, now, trouble}
end
for i = 1, 2 do
  if held[i] then
    redis.call('EXPIRE', KEYS[2 + i], ARGV[3])
  elseif held[i] == false then
    redis.call('SET', KEYS[2 + i], ARGV[2], 'EX', ARGV[3])
  end
  if held[i] == false or held[i] == ARGV[2] then
    own = 1
  end
end

local found, count, bytes, left = {}, 0, 0, ''
local most = tonumber(ARGV[5])

local function take(second) -- whether all of this second is in the answer
  local key, at, items = ARGV[1] .. 'delayed:' .. second, 0, {}
  found[#found + 1], found[#found + 2] = second, items
  while true do
    local some = redis.call('LRANGE', key, at, at + 9) -- a few at a time, because they may be large
    for _, item in ipairs(some) do
      if count == most or (count > 0 and bytes + #item > tonumber(ARGV[6])) then
        return false
      end
      items[#items + 1] = item
      count, bytes = count + 1, bytes + #item
    end
    if #some < 10 then
      return true
    end
    at = at + 10
  end
end

local seconds = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[5])
for i = 1, #seconds, 2 do
  local second = seconds[i]
  local kind = redis.call('TYPE', ARGV[1] .. 'delayed:' .. second)['ok']
  if kind ~= 'list' or not (second == '0' or (#second < 16 and string.match(second, '^%-?[1-9]%d*$'))) then
    redis.call('ZREM', KEYS[2], second) -- else nobody would ever get past it
    if kind ~= 'none' then
      trouble[#trouble + 1] = 'no second with jobs, taken off the schedule: delayed:' .. second .. ' (' .. kind .. ')'
    end
  elseif not take(second) then
    left = seconds[i + 1]
    break
  end
end
if left == '' then
  local last = seconds[#seconds]
  local behind = last and '(' .. last or '-inf'
  left = redis.call('ZRANGEBYSCORE', KEYS[2], behind, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2] or ''
end
return {'', own, found, left, retry, now, trouble}
