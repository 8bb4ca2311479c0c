-- Remove failure records, each only once.
-- KEYS: 1 a key that never exists, 2 failed
-- ARGV: the records' exact bytes
-- Returns for each 1 when it was removed, 0 when it was not there any more.
redis.call('LLEN', KEYS[2])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
local removed = {}
for at, raw in ipairs(ARGV) do
  removed[at] = redis.call('LREM', KEYS[2], -1, raw)
end
return removed
