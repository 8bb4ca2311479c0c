-- Put retries that are due back on their queues.
-- KEYS: 1 a key that never exists, 2 the retries, 3 queues, 4 the bell's channel
-- ARGV: 1 the prefix of all keys, 2 most retries, 3 most bytes, 4 seconds by which one that cannot go back is put off
-- Builds from the prefix: queue:<q>, job:<id>:status
-- Returns {how many went back, score of the first that is left or '', server time, {trouble, …}}.
local time = redis.call('TIME')
local now = string.format('%s.%06d', time[1], time[2])
redis.call('ZCARD', KEYS[2])
redis.call('SCARD', KEYS[3])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full

local trouble = {}
local function put_off(member, why)
  redis.call('ZADD', KEYS[2], 'XX', time[1] + ARGV[4], member)
  trouble[#trouble + 1] = why
end

local function waits_again(status_id)
  local key = ARGV[1] .. 'job:' .. status_id .. ':status'
  local status = status_id ~= '' and redis.pcall('GET', key)
  if type(status) == 'string' then
    redis.pcall('SET', key, (string.gsub(status, '^{"status":63,', '{"status":1,')), 'XX', 'KEEPTTL')
  end
end

local count, seen, bytes = 0, 0, 0
local most, largest = tonumber(ARGV[2]), tonumber(ARGV[3])
repeat
  local some = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 10) -- a few at a time: they may be large
  for _, member in ipairs(some) do
    if seen < most and bytes < largest then
      seen, bytes = seen + 1, bytes + #member
      local status_id, queue, payload_at = string.match(member, '^[^ \n]* ?([^\n]*)\n([^\n]+)\n()')
      if not queue then
        put_off(member, 'no retry, though it is among them: ' .. redis.sha1hex(member) .. ' (its SHA-1)')
      else
        local length = redis.pcall('RPUSH', ARGV[1] .. 'queue:' .. queue, string.sub(member, payload_at))
        if type(length) == 'table' then
          put_off(member, length.err .. ' (' .. ARGV[1] .. 'queue:' .. queue .. ')')
        else
          redis.call('ZREM', KEYS[2], member)
          waits_again(status_id)
          redis.call('SADD', KEYS[3], queue)
          if length == 1 then
            redis.pcall('PUBLISH', KEYS[4], queue)
          end
          count = count + 1
        end
      end
    end
  end
until #some < 10 or seen >= most or bytes >= largest
return {count, redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or '', now, trouble}
