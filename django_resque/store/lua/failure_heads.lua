-- Read failure records without what is long in them, from the newest towards the head of the list. For looking alone.
-- KEYS: 1 failed
-- ARGV: 1 position of the newest, 2 how many, 3 most bytes
-- Returns for each the record, false when it does not fit any more. Of one that begins as ours and Ruby's do, what
-- stands in its backtrace is left out, and all from its output on. Cuts are made where JSON has no text: in a text, a
-- quotation mark has a backslash before it.
local function without_details(record)
  if string.sub(record, 1, 13) ~= '{"failed_at":' then
    return record
  end
  local start, another = nil, string.find(record, ',"backtrace":[', 1, true)
  while another do -- the last one is the record's own, others may be in the arguments
    start, another = another, string.find(record, ',"backtrace":[', another + 14, true)
  end
  local stop = start and string.find(record, '],"worker":"', start, true)
  if not stop then
    return record
  end
  local output = string.find(record, ',"output":"', stop, true)
  local rest = output and string.sub(record, stop, output - 1) .. '}' or string.sub(record, stop)
  return string.sub(record, 1, start + 13) .. rest
end

local newest, left, found = tonumber(ARGV[1]), tonumber(ARGV[3]), {}
local records = redis.call('LRANGE', KEYS[1], newest - ARGV[2] + 1, newest)
for at = #records, 1, -1 do
  local head = without_details(records[at])
  found[#found + 1] = #head <= left and head
  left = found[#found] and left - #head or left
end
return found
