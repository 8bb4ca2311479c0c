-- Read the schedule, note since when entries have stood in it as they do, and forget those that are gone.
-- KEYS: 1 a key that never exists, 2 the entries of run time, 3 the slots that are done with, 4 since when entries have
--       been seen, 5 the names that are paused, 6 the schedule's version, 7 the last jobs, 8 the slots that were missed
-- ARGV: 1 how many entries of run time are read at most, 2 seconds after which an entry that nobody has is forgotten
--       ('' = never); then, for each entry that the caller has, its name, a blank and the 40 digits of its digest
-- Returns {server time, version, how many entries there are at run time, {name, entry, …} or {} for too many,
--         {name, slot, …}, {name and digest, unix second, …}, {paused name, …}}.
-- A value of 4 is the second at which the entry was first seen, a blank, and the one at which it was seen last.
local count = redis.call('HLEN', KEYS[2])
local slots = redis.call('HGETALL', KEYS[3])
local seen = redis.call('HGETALL', KEYS[4])
local paused = redis.call('SMEMBERS', KEYS[5])
local version = redis.call('GET', KEYS[6]) or '0'
local entries = {}
if count <= tonumber(ARGV[1]) then
  entries = redis.call('HGETALL', KEYS[2])
end
local time = redis.call('TIME')
local now = tonumber(time[1])

local function name_of(field)
  return string.sub(field, 1, -42)
end

local first, last, newest = {}, {}, {}
for i = 1, #seen, 2 do
  local field, name = seen[i], name_of(seen[i])
  local from, to = string.match(seen[i + 1], '^(%d+) (%d+)$')
  first[field], last[field] = tonumber(from or now), tonumber(to or now)
  newest[name] = math.max(newest[name] or 0, last[field])
end

if ARGV[2] ~= '' then
  redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
end
local kept = {}
for i = 1, #entries, 2 do
  kept[entries[i]] = true
end
local function note(field)
  local value = string.format('%.0f %.0f', first[field], last[field])
  redis.call('HSET', KEYS[4], field, value)
end
for i = 3, #ARGV do
  local field, name = ARGV[i], name_of(ARGV[i])
  kept[name] = true
  -- One that had given way to another of its name begins anew; so does one from a time when the clock was ahead.
  if not first[field] or first[field] > now or last[field] < newest[name] - 600 then
    first[field], last[field] = now, now
    note(field)
  elseif math.abs(now - last[field]) >= 60 then
    last[field] = now
    note(field)
  end
end

local shown = {}
for field, since in pairs(first) do
  local name = name_of(field)
  if kept[name] or ARGV[2] == '' or now - last[field] < tonumber(ARGV[2]) then
    kept[name] = true
    shown[#shown + 1] = field
    shown[#shown + 1] = string.format('%.0f', since)
  else
    redis.call('HDEL', KEYS[4], field)
  end
end
if ARGV[2] ~= '' and count <= tonumber(ARGV[1]) then
  for i = 1, #slots, 2 do
    if not kept[slots[i]] then
      redis.call('HDEL', KEYS[3], slots[i])
      redis.pcall('HDEL', KEYS[7], slots[i])
      redis.pcall('HDEL', KEYS[8], slots[i])
    end
  end
end
return {time[1] .. '.' .. string.format('%06d', time[2]), version, count, entries, slots, shown, paused}
