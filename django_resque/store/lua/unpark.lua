-- Put parked jobs back to the heads of their queues when nobody holds a permit, so that nobody would.
-- KEYS: 1 a key that never exists, 2 the permits, 3 what is parked for them, 4 queues, 5 the bell's channel, 6 parking
-- ARGV: 1 the prefix of all keys, 2 the key of concurrency, 3 most jobs, 4 1 = only look
-- Builds from the prefix: queue:<q>
-- Returns how many there were; when all are back, their key is taken out of parking.
local left = redis.call('LLEN', KEYS[3])
redis.call('SCARD', KEYS[4])
redis.call('SCARD', KEYS[6])
if redis.call('HLEN', KEYS[2]) > 0 then
  return 0
elseif ARGV[4] == '1' then
  return left
end
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
local count = 0
while count < math.min(left, tonumber(ARGV[3])) do -- the last one first: they stand in their order then
  local last = redis.call('LINDEX', KEYS[3], -1)
  local line = string.find(last, '\n', 1, true) or 0
  local queue = string.sub(last, 1, line - 1)
  if type(redis.pcall('LPUSH', ARGV[1] .. 'queue:' .. queue, string.sub(last, line + 1))) ~= 'number' then
    return count -- its queue has become something else
  end
  redis.call('RPOP', KEYS[3])
  redis.call('SADD', KEYS[4], queue)
  redis.pcall('PUBLISH', KEYS[5], queue)
  count = count + 1
end
if count == left then
  redis.call('SREM', KEYS[6], ARGV[2])
end
return count
