-- Find a failure record by the SHA-1 of its bytes, the newest first. For looking alone.
-- KEYS: 1 failed
-- ARGV: 1 the SHA-1, 2 and 3 positions of the first and the last record that are looked at
-- Returns the record, false when it is not among them.
local records = redis.call('LRANGE', KEYS[1], ARGV[2], ARGV[3])
for at = #records, 1, -1 do
  if redis.sha1hex(records[at]) == ARGV[1] then
    return records[at]
  end
end
return false
