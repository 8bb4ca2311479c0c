-- Take jobs out of a list in which they wait, each only if it is still there.
-- KEYS: 1 a key that never exists, 2 the list, 3 crashes, 4 waited;
--       then for each job its status and its key of uniqueness (the first key when it has none)
-- ARGV: 1 seconds a status is kept; then for each job the element's exact bytes, the job's id, its status from now on,
--       the channel on which its end is told (the last three are empty when it cannot be read)
-- Returns for each job 1 when it was removed, 0 when it was not there any more.
redis.call('LLEN', KEYS[2])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full

local waited = redis.call('EXISTS', KEYS[4]) == 1
local removed = {}
for job = 0, (#KEYS - 4) / 2 - 1 do
  local status, unique = KEYS[5 + 2 * job], KEYS[6 + 2 * job]
  local raw, id, record, channel = ARGV[2 + 4 * job], ARGV[3 + 4 * job], ARGV[4 + 4 * job], ARGV[5 + 4 * job]
  local count = redis.call('LREM', KEYS[2], -1, raw) -- from the tail, where the search began
  removed[#removed + 1] = count
  if count == 1 then
    redis.pcall('HDEL', KEYS[3], redis.sha1hex(raw))
    if id ~= '' then
      redis.pcall('SET', status, record, 'XX', 'EX', ARGV[1]) -- a broken status must not keep the rest from being done
      if redis.pcall('GET', unique) == id then
        redis.call('DEL', unique)
      end
      if waited then
        redis.pcall('PUBLISH', channel, record)
      end
    end
  end
end
return removed
