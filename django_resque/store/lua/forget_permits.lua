-- Free permits whose reservation is gone; for each, the job that has waited for it longest goes back to its queue.
-- KEYS: 1 a key that never exists, 2 the permits, 3 what is parked for them, 4 queues, 5 the bell's channel
-- ARGV: 1 the prefix of all keys, 2 1 = only look; then permits, <process>.<token>
-- Builds from the prefix: django:reservations:<process>, queue:<q>
-- Returns how many there were.
redis.call('HLEN', KEYS[2])
redis.call('LLEN', KEYS[3])
redis.call('SCARD', KEYS[4])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full
local count = 0
for at = 3, #ARGV do
  local process, token = string.match(ARGV[at], '^([^.]*)%.(.*)$')
  local held = process and redis.pcall('HEXISTS', ARGV[1] .. 'django:reservations:' .. process, token)
  if held ~= 1 and redis.call('HEXISTS', KEYS[2], ARGV[at]) == 1 then
    count = count + 1
    if ARGV[2] ~= '1' then
      redis.call('HDEL', KEYS[2], ARGV[at])
      local first = redis.call('LINDEX', KEYS[3], 0)
      if first then
        local line = string.find(first, '\n', 1, true) or 0
        local queue = string.sub(first, 1, line - 1)
        if type(redis.pcall('LPUSH', ARGV[1] .. 'queue:' .. queue, string.sub(first, line + 1))) == 'number' then
          redis.call('LPOP', KEYS[3])
          redis.call('SADD', KEYS[4], queue)
          redis.pcall('PUBLISH', KEYS[5], queue)
        end
      end
    end
  end
end
return count
