-- How long lists are, and the end of the element that comes first in each. For looking alone.
-- KEYS: up to 100 lists. ARGV[1]: bytes of an element.
-- Returns for each list its length (-1: it is none), and the last ARGV[1] bytes of its first element.
local found = {}
for _, key in ipairs(KEYS) do
  local length = redis.pcall('LLEN', key)
  local head = type(length) == 'number' and length > 0 and redis.call('LINDEX', key, 0) or ''
  found[#found + 1] = type(length) == 'number' and length or -1
  found[#found + 1] = string.sub(head, -tonumber(ARGV[1]))
end
return found
