-- Move jobs from one queue to the end of another, or to the head of their own, each only if it is still there.
-- KEYS: 1 a key that never exists, 2 the queue, 3 where they go, 4 the set of queues, 5 the bell's channel;
--       then for each job its status (the first key when it has none)
-- ARGV: 1 the name of where they go, 2 RPUSH or LPUSH, 3 the end from which they are looked for (1 the head, -1 the tail);
--       then for each job the element's exact bytes and its status from now on ('' = as it is)
-- Returns for each job 1 when it was moved, 0 when it was not there any more.
redis.call('LLEN', KEYS[2])
local length = redis.call('LLEN', KEYS[3])
redis.call('SCARD', KEYS[4])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full

local moved, any = {}, false
for job = 1, #KEYS - 5 do
  local raw, status = ARGV[2 + 2 * job], ARGV[3 + 2 * job]
  local count = redis.call('LREM', KEYS[2], ARGV[3], raw)
  moved[job] = count
  if count == 1 then
    any = true
    redis.call(ARGV[2], KEYS[3], raw)
    if status ~= '' then
      redis.pcall('SET', KEYS[5 + job], status, 'XX', 'KEEPTTL') -- a broken status must not keep the rest from being done
    end
  end
end
if any then
  redis.call('SADD', KEYS[4], ARGV[1])
  if length == 0 then
    redis.pcall('PUBLISH', KEYS[5], ARGV[1]) -- who may not ring the bell may move all the same
  end
end
return moved
