-- Find workers of other programs whose last heartbeat is long ago.
-- KEYS: 1 the set of workers, 2 the heartbeats, 3 the Ruby worker that prunes at the moment
-- ARGV: 1 the prefix of all keys, 2 seconds without a heartbeat, 3 most workers, 4 most bytes
-- Builds from the prefix: worker:<id>
-- Returns {id, heartbeat, '1' or '' (it has no job), its job, …}; one worker at least, if there is any.
local now = tonumber(redis.call('TIME')[1])
if redis.call('EXISTS', KEYS[3]) == 1 then
  return {}
end

local function seconds(text) -- ISO 8601 with seconds and a zone, as Ruby writes it; nil for anything else
  local year, month, day, hour, minute, second, zone =
    string.match(text, '^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)%.?%d*(.*)$')
  if not year then
    return nil
  end
  local offset = 0
  if zone ~= 'Z' then
    local sign, hours, minutes = string.match(zone, '^([+-])(%d%d):?(%d%d)$')
    if not sign then
      return nil
    end
    offset = (hours * 3600 + minutes * 60) * (sign == '-' and -1 or 1)
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if month < 1 or month > 12 or day < 1 or day > 31 then
    return nil
  end
  if month < 3 then -- the year begins in March: its days can be counted then
    year, month = year - 1, month + 12
  end
  local days = 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
    + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
  return days * 86400 + hour * 3600 + minute * 60 + second - offset
end

-- All of them, unless there are very many: then a thousand, others each time.
local ids = redis.call('SRANDMEMBER', KEYS[1], 1000)
if #ids == 0 then
  return {}
end
local heartbeats = redis.call('HMGET', KEYS[2], unpack(ids))
local found, bytes = {}, 0
for i, id in ipairs(ids) do
  local ours = string.find(id, '^[^:]*~%w%w%w%w%w%w%-%d+:')
  local beat = not ours and heartbeats[i] and seconds(heartbeats[i])
  if beat and now - beat > tonumber(ARGV[2]) then
    local current = redis.pcall('GET', ARGV[1] .. 'worker:' .. id)
    if type(current) ~= 'table' then -- else it is no worker's: leave it alone
      bytes = bytes + (current and #current or 0)
      if #found > 0 and bytes > tonumber(ARGV[4]) then
        break
      end
      local at = #found
      found[at + 1], found[at + 2], found[at + 3], found[at + 4] = id, heartbeats[i], current and '1' or '', current or ''
      if #found == 4 * tonumber(ARGV[3]) then
        break
      end
    end
  end
end
return found
