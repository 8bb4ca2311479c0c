-- Put the jobs of failure records back on their queues, each only if its record is still there.
-- KEYS: 1 a key that never exists, 2 failed, 3 the set of queues, 4 the bell's channel;
--       then for each its queue, its status and its key of uniqueness (the first key when it has none)
-- ARGV: 1 seconds a status is kept; then for each the record's exact bytes, the queue's name, the payload, the status from
--       now on ('' = none), 1 when that may be a new one (0: only where there is one), the job's id, seconds that its
--       key of uniqueness is held
-- Returns for each 1 when it was put back, 0 when the record was not there any more, or why it cannot be put back.
redis.call('LLEN', KEYS[2])
redis.call('SCARD', KEYS[3])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full

local retried = {}
for at = 0, (#KEYS - 4) / 3 - 1 do
  local queue, status, unique = KEYS[5 + 3 * at], KEYS[6 + 3 * at], KEYS[7 + 3 * at]
  local raw, name, payload, waiting = ARGV[2 + 7 * at], ARGV[3 + 7 * at], ARGV[4 + 7 * at], ARGV[5 + 7 * at]
  local new, id, seconds = ARGV[6 + 7 * at], ARGV[7 + 7 * at], ARGV[8 + 7 * at]
  local length = redis.pcall('LLEN', queue)
  if type(length) == 'table' then
    retried[#retried + 1] = length.err
  elseif redis.call('LREM', KEYS[2], -1, raw) == 0 then
    retried[#retried + 1] = 0
  else
    redis.call('RPUSH', queue, payload)
    redis.call('SADD', KEYS[3], name)
    if length == 0 then
      redis.pcall('PUBLISH', KEYS[4], name) -- who may not ring the bell may push all the same
    end
    if new == '1' then
      redis.pcall('SET', status, waiting, 'EX', ARGV[1])
    elseif waiting ~= '' then
      redis.pcall('SET', status, waiting, 'XX', 'EX', ARGV[1])
    end
    if unique ~= KEYS[1] then
      redis.pcall('SET', unique, id, 'NX', 'EX', seconds)
    end
    retried[#retried + 1] = 1
  end
end
return retried
