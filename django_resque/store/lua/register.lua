-- Make a worker process and its workers known.
-- KEYS: 1 a key that never exists, 2 the process, 3 the processes, 4 the set of workers;
--       then for each worker its start time
-- ARGV: 1 the member of the processes that is this one, 2 seconds of its lease, 3 when it started, 4 what it is (JSON);
--       then for each worker its id
-- Returns {1, server time}; 0 in the place of 1 when another process of this name is registered already.
local time = redis.call('TIME')
redis.call('ZCARD', KEYS[3])
redis.call('SCARD', KEYS[4])
if redis.call('EXISTS', KEYS[2]) == 1 then
  local same -- it is this one, and the answer was lost
  if ARGV[5] then
    same = redis.call('SISMEMBER', KEYS[4], ARGV[5]) == 1
  else
    same = redis.call('ZSCORE', KEYS[3], ARGV[1])
  end
  return {same and 1 or 0, time[1]}
end
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
local workers = {}
for i = 5, #ARGV do
  workers[i - 4] = ARGV[i]
  redis.call('SADD', KEYS[4], ARGV[i])
  redis.call('SET', KEYS[i], ARGV[3])
end
redis.call('HSET', KEYS[2], 'number', 0, 'workers', table.concat(workers, '\n'), 'info', ARGV[4], 'mode', 'running', 'heard',
  time[1])
redis.call('ZADD', KEYS[3], time[1] + ARGV[2], ARGV[1])
return {1, time[1]}
