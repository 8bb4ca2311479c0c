-- Leave a message for a worker process.
-- KEYS: 1 a key that never exists, 2 the process, 3 its messages, 4 the bell's channel
-- ARGV: 1 name of the process, 2 the message, 3 the unix time until which it may be obeyed, 4 messages kept
-- Returns 1; 0, and nothing is done, when there is no such process, or it was declared dead.
if redis.call('HEXISTS', KEYS[2], 'number') == 0 then
  return 0
end
local length = redis.call('LLEN', KEYS[3])
local time = redis.call('TIME')
local left = math.max(1, math.ceil(tonumber(ARGV[3]) - time[1]) + 1)
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
if not redis.call('LPOS', KEYS[3], ARGV[2]) then -- else this call is made again, because its reply was lost
  redis.call('RPUSH', KEYS[3], ARGV[2])
  if length >= tonumber(ARGV[4]) then
    redis.call('LTRIM', KEYS[3], -ARGV[4], -1)
  end
end
if redis.call('TTL', KEYS[3]) < left then
  redis.call('EXPIRE', KEYS[3], left)
end
redis.pcall('PUBLISH', KEYS[4], ':control ' .. ARGV[1])
return 1
