-- Which elements of some lists and sorted sets, and which strings, contain a text. For looking alone.
-- KEYS: up to 100 lists, sorted sets and strings
-- ARGV: 1 the text, 2 first and 3 last index in each list and sorted set, 4 the length up to which those who ask see all,
--       5 elements and 6 bytes that are looked through at most, 7 most elements that are returned
-- Returns {1 when nothing was left out (else 0), then for each that contains the text: the number of its key, its bytes,
--         its score ('' when it has none)}. Ten elements at a time are read, so that large ones do not hold up the rest.
local text, first, last, reach = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local elements, bytes, most = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local found, count = {1}, 0

local function look(number, element, score)
  elements, bytes = elements - 1, bytes - #element
  if #element > tonumber(ARGV[6]) then
    found[1] = 0 -- nobody would want to read it
  elseif string.find(element, text, 1, true) then
    count = count + 1
    if count > most then
      found[1] = 0
    else
      found[#found + 1], found[#found + 2], found[#found + 3] = number, element, score
    end
  end
end

for number, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'string' then
    if redis.call('STRLEN', key) <= bytes and elements > 0 then
      look(number, redis.call('GET', key), '')
    else
      found[1] = 0
    end
  elseif kind == 'list' or kind == 'zset' then
    local length = redis.call(kind == 'list' and 'LLEN' or 'ZCARD', key)
    if length > reach then
      found[1] = 0
    end
    for at = first < 0 and math.max(first, -length) or first, math.min(last, length - 1), 10 do
      if elements <= 0 or bytes <= 0 then
        found[1] = 0
        break
      end
      local till = math.min(at + 9, last)
      if kind == 'list' then
        for _, element in ipairs(redis.call('LRANGE', key, at, till)) do
          look(number, element, '')
        end
      else
        local members = redis.call('ZRANGE', key, at, till, 'WITHSCORES')
        for place = 1, #members, 2 do
          look(number, members[place], members[place + 1])
        end
      end
    end
  end
end
return found
