-- Give back, or fail, what a dead worker process held; take it off the boards when nothing is left.
-- KEYS: 1 a key that never exists, 2 the process, 3 its reservations, 4 the processes, 5 failed, 6 queues, 7 heartbeats,
--       8 crashes, 9 stat:processed, 10 stat:failed, 11 the set of workers, 12 the bell's channel, 13 parking, 14 recent
-- ARGV: 1 the prefix of all keys, 2 the member of the processes that it is, 3 seconds that crashes are remembered,
--       4 seconds the status of a failure is kept, 5 jobs kept in recent, 6 how many workers, then their ids;
--       then for each reservation, the last taken first: what to do (requeue, fail, or drop what has a
--       failure record already), token, crashes to note
--       (-1 = none), status id, status when failed, status when requeued, failure record
-- Builds from the prefix: queue:<q>, job:<id>:status, worker:<id>, worker:<id>:started, stat:processed:<id>,
--       stat:failed:<id>, django:permits:<key>, django:parked:<key>, django:unique:<key>, django:unparked:<key>, and the channel
--       django:ended:<id>
-- Returns {reservations left, {token, …} of those that were still there, {trouble, …}}.
local prefix = ARGV[1]
if redis.call('HEXISTS', KEYS[2], 'number') == 1 or not redis.call('ZSCORE', KEYS[4], ARGV[2]) then
  return {0, {}, {}} -- nobody has declared it dead, or all has been done
end
redis.call('HLEN', KEYS[3])
redis.call('LLEN', KEYS[5])
redis.call('SCARD', KEYS[6])
redis.call('HLEN', KEYS[8])
redis.call('SCARD', KEYS[11])
redis.call('SCARD', KEYS[13])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full

local trouble, done = {}, {}
local function try(...) -- for what people look at: it must not stand in the way of the jobs
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    trouble[#trouble + 1] = reply.err .. ' (' .. tostring(select(2, ...)) .. ')'
    return nil
  end
  return reply
end

local name = string.match(ARGV[2], '^%S+')
local function free(token, key) -- its permit; whether it had one
  return key ~= '' and try('HDEL', prefix .. 'django:permits:' .. key, name .. '.' .. token) == 1
end

local function let_go_first(key, payload) -- if it does not get a permit now, it is the first to wait for the next
  local on_the_way = prefix .. 'django:unparked:' .. key
  try('ZADD', on_the_way, redis.call('TIME')[1], redis.sha1hex(payload))
  try('EXPIRE', on_the_way, 60)
end

local function unpark(key) -- who has waited longest for a permit goes back to the head of its queue
  local parked = prefix .. 'django:parked:' .. key
  local first = try('LINDEX', parked, 0)
  if first then
    local line = string.find(first, '\n', 1, true) or 0
    local queue, payload = string.sub(first, 1, line - 1), string.sub(first, line + 1)
    if try('LPUSH', prefix .. 'queue:' .. queue, payload) then
      redis.call('LPOP', parked)
      redis.call('SADD', KEYS[6], queue)
      let_go_first(key, payload)
      redis.pcall('PUBLISH', KEYS[12], queue)
    end
  else
    redis.call('SREM', KEYS[13], key)
  end
end

local workers = tonumber(ARGV[6])
for at = 7 + workers, #ARGV, 7 do
  local act, token, crashes, status_id = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local failed, requeued, record = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6]
  local reserved = redis.call('HGET', KEYS[3], token)
  if reserved then
    local line = string.find(reserved, '\n', 1, true) or 0
    local queue, key, unique =
      string.match(string.sub(reserved, 1, line - 1), '^([^\t]*)\t?[^\t]*\t?([^\t]*)\t?(.*)$')
    local unique_key, id, seconds = string.match(unique, '^(%S+) (%S+) (%d+)$')
    local payload = string.sub(reserved, line + 1)
    local sha = redis.sha1hex(payload)
    local length = act == 'requeue' and try('LPUSH', prefix .. 'queue:' .. queue, payload)
    if length then
      redis.call('SADD', KEYS[6], queue)
      if length == 1 then
        try('PUBLISH', KEYS[12], queue)
      end
      if crashes ~= '-1' then
        if redis.call('HLEN', KEYS[8]) >= 10000 then
          redis.call('HDEL', KEYS[8], redis.call('HRANDFIELD', KEYS[8]))
        end
        redis.call('HSET', KEYS[8], sha, crashes)
        redis.call('EXPIRE', KEYS[8], ARGV[3])
      end
      if unique_key then -- it waits again
        try('SET', prefix .. 'django:unique:' .. unique_key, id, 'NX', 'EX', seconds)
      end
      try('SET', prefix .. 'job:' .. status_id .. ':status', requeued, 'XX', 'KEEPTTL')
    else
      try('INCR', KEYS[9])
      try('INCR', KEYS[10])
      if act ~= 'drop' then -- failed, or its queue has become something else
        redis.call('RPUSH', KEYS[5], record)
      end
      try('SET', prefix .. 'job:' .. status_id .. ':status', failed, 'XX', 'EX', ARGV[4])
      redis.pcall('PUBLISH', prefix .. 'django:ended:' .. status_id, failed)
      try('LPUSH', KEYS[14], failed)
      try('LTRIM', KEYS[14], 0, ARGV[5] - 1)
      redis.call('HDEL', KEYS[8], sha)
    end
    redis.call('HDEL', KEYS[3], token)
    if free(token, key) then
      if length then -- it is the next to have one
        let_go_first(key, payload)
      else
        unpark(key)
      end
    end
    done[#done + 1] = token
  end
end

local left = redis.call('HLEN', KEYS[3])
if left == 0 then
  for i = 7, 6 + workers do
    local worker = prefix .. 'worker:' .. ARGV[i]
    redis.call('SREM', KEYS[11], ARGV[i])
    try('HDEL', KEYS[7], ARGV[i])
    try('DEL', worker, worker .. ':started', prefix .. 'stat:processed:' .. ARGV[i], prefix .. 'stat:failed:' .. ARGV[i])
  end
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[4], ARGV[2])
end
return {left, done, trouble}
