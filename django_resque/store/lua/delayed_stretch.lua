-- The delayed jobs from a moment on, as many as one looks through at once. For looking alone.
-- KEYS: 1 the delayed schedule
-- ARGV: 1 the prefix of all keys, 2 the moment ('-inf' = from the first on), 3 most jobs, and seconds, 4 most bytes
-- Builds from the prefix: delayed:<second>
-- Returns {server time, {second, {item, …}, …}, score of the first second that is not all in the answer or '',
--         {trouble, …}}. One item at least, if there is any.
local found, count, bytes, trouble = {}, 0, 0, {}

local function mention(text)
  if #trouble < 10 then
    trouble[#trouble + 1] = text
  end
end

local function take(second) -- whether all of this second is in the answer
  local key, at, items = ARGV[1] .. 'delayed:' .. second, 0, {}
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= 'list' then
    mention(key .. ' is a ' .. kind .. ' and not a list')
    return true
  end
  found[#found + 1], found[#found + 2] = second, items
  while true do
    local some = redis.call('LRANGE', key, at, at + 9) -- a few at a time, because they may be large
    for _, item in ipairs(some) do
      if count == tonumber(ARGV[3]) or (count > 0 and bytes + #item > tonumber(ARGV[4])) then
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

local left, time = '', redis.call('TIME')
local most = tonumber(ARGV[3])
local seconds = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
for i = 1, #seconds, 2 do
  local second = seconds[i]
  if i > 2 * most then
    left = seconds[i + 1]
  elseif not (second == '0' or (#second < 16 and string.match(second, '^%-?[1-9]%d*$'))) then
    mention('no second, though it stands in the schedule: ' .. string.sub(second, 1, 200))
  elseif not take(second) then
    left = seconds[i + 1]
    break
  end
end
return {string.format('%s.%06d', time[1], time[2]), found, left, trouble}
