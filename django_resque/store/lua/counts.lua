-- How many jobs there are in keys whose names stand in other keys. For looking alone.
-- KEYS: 1 the seconds of the delayed jobs, 2 the processes, 3 the keys of concurrency under which jobs are parked
-- ARGV: 1 the prefix of all keys, 2 how many names are looked at in each
-- Builds: delayed:<second>, django:reservations:<name>, django:parked:<key>
-- Returns for each: jobs counted, names looked at, names there are (-1: the key has another type).
local most = tonumber(ARGV[2])
local found = {}

local function count(total, names, length, key_of)
  local jobs = 0
  for _, name in ipairs(names) do
    local size = redis.pcall(length, ARGV[1] .. key_of(name))
    jobs = jobs + (type(size) == 'number' and size or 0)
  end
  for _, number in ipairs({jobs, #names, total}) do
    found[#found + 1] = number
  end
end

local function all(key, size, names, length, key_of)
  local total = redis.pcall(size, key)
  if type(total) ~= 'number' then
    return count(-1, {}, length, key_of)
  end
  return count(total, redis.call(unpack(names)), length, key_of)
end

all(KEYS[1], 'ZCARD', {'ZRANGE', KEYS[1], 0, most - 1}, 'LLEN', function(second)
  return 'delayed:' .. second
end)
all(KEYS[2], 'ZCARD', {'ZRANGE', KEYS[2], 0, most - 1}, 'HLEN', function(member)
  return 'django:reservations:' .. string.match(member, '^[^ ]*')
end)
all(KEYS[3], 'SCARD', {'SRANDMEMBER', KEYS[3], most}, 'LLEN', function(key)
  return 'django:parked:' .. key
end)
return found
