-- One turn of a worker process: take note of what became of its jobs, hand out more.
-- KEYS: 1 a key that never exists, 2 the process, 3 its reservations, 4 failed, 5 queues, 6 heartbeats, 7 crashes,
--       8 stat:processed, 9 stat:failed, 10 pause-all-workers, 11 the bell's channel
-- ARGV: 1 the prefix of all keys, 2 number of the turn, 3 jobs wanted, 4 the crash that is final,
--       5 seconds that crashes are remembered, 6 records kept in failed, 7 seconds a status is kept,
--       8 the same for a failure, 9 how many queues, then their names in order;
--       then for each entry: kind, token, worker, status id ('' = no status), status, status when requeued,
--       record (failure record, current job or heartbeat)
-- Builds from the prefix: queue:<q>, job:<id>:status, worker:<id>, stat:processed:<worker>, stat:failed:<worker>
-- Returns {state, server time, refused tokens, {token, queue, payload, crashes, …}, {trouble, …}, dropped failures};
--         state is 'ok', 'paused' or 'gone' (unknown process). An older turn than the last is an error.
local prefix, number, wanted = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = redis.call('TIME')[1]

local last = redis.call('HGET', KEYS[2], 'number')
if not last then
  return {'gone', now, {}, {}, {}, 0}
end
if number < tonumber(last) then
  return redis.error_reply('STALE turn ' .. ARGV[2] .. ' arrived after a later one')
end

local function split(reserved) -- queue, line feed, payload
  local at = string.find(reserved, '\n', 1, true)
  return string.sub(reserved, 1, at - 1), string.sub(reserved, at + 1)
end

local function words(text)
  local found = {}
  for word in string.gmatch(text, '%S+') do
    found[#found + 1] = word
  end
  return found
end

local any_crashes = redis.call('EXISTS', KEYS[7]) == 1
local function crashes_of(payload)
  return any_crashes and tonumber(redis.call('HGET', KEYS[7], redis.sha1hex(payload)) or '0') or 0
end

local function hand_out(jobs, token, queue, payload)
  local at = #jobs
  jobs[at + 1], jobs[at + 2], jobs[at + 3], jobs[at + 4] = token, queue, payload, crashes_of(payload)
end

if number == tonumber(last) then -- the answer to this turn was lost: give it again
  local answered = redis.call('HMGET', KEYS[2], 'state', 'refused', 'reserved', 'dropped')
  local jobs = {}
  for i = 1, tonumber(answered[3]) do
    local token = ARGV[2] .. '.' .. i
    local reserved = redis.call('HGET', KEYS[3], token)
    if reserved then
      local queue, payload = split(reserved)
      hand_out(jobs, token, queue, payload)
    end
  end
  return {answered[1], now, words(answered[2]), jobs, {}, tonumber(answered[4])}
end

-- From here on nothing may fail: the types first, then a write that opens the way when the memory is full.
redis.call('HLEN', KEYS[3])
redis.call('LLEN', KEYS[4])
redis.call('SCARD', KEYS[5])
redis.call('HLEN', KEYS[7])
redis.call('DEL', KEYS[1])

local refused, trouble, dropped, added = {}, {}, 0, false

local function try(...) -- for what people look at: it must not stand in the way of the jobs
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    trouble[#trouble + 1] = reply.err .. ' (' .. select(2, ...) .. ')'
    return nil
  end
  return reply
end

local function set_status(id, status, seconds)
  if id ~= '' and seconds then
    try('SET', prefix .. 'job:' .. id .. ':status', status, 'XX', 'EX', seconds)
  elseif id ~= '' then
    try('SET', prefix .. 'job:' .. id .. ':status', status, 'XX', 'KEEPTTL')
  end
end

local function ended(token, worker, payload)
  redis.call('HDEL', KEYS[3], token)
  if any_crashes then
    redis.call('HDEL', KEYS[7], redis.sha1hex(payload))
  end
  try('DEL', prefix .. 'worker:' .. worker)
  try('INCR', KEYS[8])
  try('INCR', prefix .. 'stat:processed:' .. worker)
end

local function fail(token, worker, payload, record)
  redis.call('RPUSH', KEYS[4], record)
  added = true
  ended(token, worker, payload)
  try('INCR', KEYS[9])
  try('INCR', prefix .. 'stat:failed:' .. worker)
end

local function requeue(token, worker, queue, payload)
  local length = try('LPUSH', prefix .. 'queue:' .. queue, payload)
  if not length then
    return false -- its queue has become something else: the reservation keeps the job
  end
  redis.call('HDEL', KEYS[3], token)
  redis.call('SADD', KEYS[5], queue)
  try('DEL', prefix .. 'worker:' .. worker)
  if length == 1 then
    try('PUBLISH', KEYS[11], queue)
  end
  return true
end

local entry = 10 + tonumber(ARGV[9])
while entry <= #ARGV do
  local kind, token, worker, status_id = ARGV[entry], ARGV[entry + 1], ARGV[entry + 2], ARGV[entry + 3]
  local status, status_requeued = ARGV[entry + 4], ARGV[entry + 5]
  local record = ARGV[entry + 6]
  entry = entry + 7
  local reserved = token ~= '' and redis.call('HGET', KEYS[3], token)
  if kind == 'beat' then
    try('HSET', KEYS[6], worker, record)
  elseif not reserved then
    refused[#refused + 1] = token
  else
    local queue, payload = split(reserved)
    if kind == 'running' then
      try('SET', prefix .. 'worker:' .. worker, record)
      set_status(status_id, status)
    elseif kind == 'done' then
      ended(token, worker, payload)
      set_status(status_id, status, ARGV[7])
    elseif kind == 'failed' then
      fail(token, worker, payload, record)
      set_status(status_id, status, ARGV[8])
    elseif kind == 'crashed' then
      local crashes = crashes_of(payload) + 1
      if crashes >= tonumber(ARGV[4]) then
        fail(token, worker, payload, record)
        set_status(status_id, status, ARGV[8])
      else
        any_crashes = true
        redis.call('HSET', KEYS[7], redis.sha1hex(payload), crashes)
        redis.call('EXPIRE', KEYS[7], ARGV[5])
        if requeue(token, worker, queue, payload) then
          set_status(status_id, status_requeued)
        end
      end
    elseif kind == 'given back' then
      if requeue(token, worker, queue, payload) then
        set_status(status_id, status_requeued)
      end
    end
  end
end

if added then
  -- A few at a time: the list may be another program's, and far longer than ours.
  dropped = math.max(0, math.min(redis.call('LLEN', KEYS[4]) - tonumber(ARGV[6]), 100))
  if dropped > 0 then
    redis.call('LTRIM', KEYS[4], dropped, -1)
  end
end

local state, jobs, reserved = 'ok', {}, 0
local pause = redis.pcall('GET', KEYS[10])
if type(pause) == 'string' and string.lower(string.match(pause, '^%s*(.-)%s*$')) == 'true' then
  state = 'paused'
else
  for i = 10, 9 + tonumber(ARGV[9]) do
    while reserved < wanted do
      local payload = try('LPOP', prefix .. 'queue:' .. ARGV[i])
      if not payload then
        break
      end
      reserved = reserved + 1
      local token = ARGV[2] .. '.' .. reserved
      redis.call('HSET', KEYS[3], token, ARGV[i] .. '\n' .. payload)
      hand_out(jobs, token, ARGV[i], payload)
    end
    if reserved > 0 then
      break -- a batch comes from one queue, the first that has a job
    end
  end
end

redis.call('HSET', KEYS[2], 'number', number, 'state', state, 'refused', table.concat(refused, ' '),
  'reserved', reserved, 'dropped', dropped)
return {state, now, refused, jobs, trouble, dropped}
