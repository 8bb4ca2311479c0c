-- Find delayed items by the SHA-1 of their bytes. For looking alone.
-- KEYS: the lists of their seconds. ARGV: 1 most elements to look through, then the SHA-1 of each item that is wanted
-- Returns for each list the wanted items that were found in it, those that are the same to the byte once.
local wanted, found, left = {}, {}, tonumber(ARGV[1])
for i = 2, #ARGV do
  wanted[ARGV[i]] = true
end
for place, key in ipairs(KEYS) do
  local at, there, seen = 0, {}, {}
  repeat
    local some = redis.pcall('LRANGE', key, at, at + 9) -- a few at a time, because they may be large
    some = some.err and {} or some
    for _, item in ipairs(some) do
      local sha = redis.sha1hex(item)
      if wanted[sha] and not seen[sha] then
        there[#there + 1], seen[sha] = item, true
      end
    end
    at, left = at + 10, left - #some
  until #some < 10 or left <= 0
  found[place] = there
end
return found
