-- The first elements of several lists, as far as they fit. For looking alone.
-- KEYS: up to 100 lists
-- ARGV: 1 most elements of each, 2 most bytes of each
-- Returns for each {element, …}; nothing where the key is no list, or its first element too large.
local found = {}
for place, key in ipairs(KEYS) do
  local elements, left, at = {}, tonumber(ARGV[2]), 0
  repeat
    local some = redis.pcall('LRANGE', key, at, math.min(at + 9, ARGV[1] - 1)) -- a few at a time: they may be large
    some = some.err and {} or some
    for _, element in ipairs(some) do
      left = left - #element
      if left < 0 then
        break
      end
      elements[#elements + 1] = element
    end
    at = at + 10
  until #some < 10 or left < 0 or at >= tonumber(ARGV[1])
  found[place] = elements
end
return found
