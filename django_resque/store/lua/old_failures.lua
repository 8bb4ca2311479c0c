-- Read failure records that need not be full any more, from the newest of them towards the head of the list.
-- KEYS: 1 failed
-- ARGV: 1 how many of the newest stay full, 2 most records, 3 most bytes, 4 position below which to look ('' = any)
-- Returns {position, record, …}; one record at least, if there is any.
local last = redis.call('LLEN', KEYS[1]) - tonumber(ARGV[1]) - 1
if ARGV[4] ~= '' then
  last = math.min(last, tonumber(ARGV[4]) - 1)
end
local found, bytes = {}, 0
for position = last, math.max(0, last - tonumber(ARGV[2]) + 1), -1 do
  local record = redis.call('LINDEX', KEYS[1], position)
  bytes = bytes + #record
  if #found > 0 and bytes > tonumber(ARGV[3]) then
    break
  end
  found[#found + 1], found[#found + 2] = position, record
end
return found
