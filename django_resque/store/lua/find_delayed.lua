-- Find delayed items by their second and the SHA-1 of their bytes. For looking alone.
-- KEYS: a list for each, that of its second. ARGV: 1 most elements to look through; then the SHA-1 of each
-- Returns for each {item}, or {} when it is not among those that were looked through.
local found, looked = {}, 0
for place, key in ipairs(KEYS) do
  local at, there = 0, {}
  repeat
    local some = redis.pcall('LRANGE', key, at, at + 9) -- a few at a time, because they may be large
    some = some.err and {} or some
    for _, item in ipairs(some) do
      if redis.sha1hex(item) == ARGV[1 + place] then
        there[1] = item
      end
    end
    at, looked = at + 10, looked + #some
  until #some < 10 or there[1] or looked >= tonumber(ARGV[1])
  found[place] = there
end
return found
