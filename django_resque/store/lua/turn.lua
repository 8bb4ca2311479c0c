-- One turn of a worker process: take note of what became of its jobs, hand out more.
-- KEYS: 1 a key that never exists, 2 the process, 3 its reservations, 4 the processes, 5 failed, 6 queues, 7 heartbeats,
--       8 crashes, 9 stat:processed, 10 stat:failed, 11 pause-all-workers, 12 the bell's channel, 13 retries,
--       14 parking, 15 recent, 16 waited, 17 paused queues, 18 the delayed schedule, 19 the schedule's version,
--       20 what this process is asked to do
-- ARGV: 1 the prefix of all keys, 2 number of the turn, 3 the member of the processes that is this one,
--       4 seconds by which to renew its lease (0 = not now), 5 what to look at besides: p = processes and what is due,
--       q = queues, 6 the crash that is final, 7 seconds that crashes are remembered, 8 records kept in failed,
--       9 seconds a status is kept, 10 the same for a failure, 11 seconds an output is kept, 12 jobs kept in recent,
--       13 the mode of the process ('' = as before), 14 bytes of memory it uses (0 = not now), 15 how many queues; then
--       for each, in order: name, jobs wanted;
--       then for each entry: kind, token, worker, status id and four more, by kind:
--         beat: -, -, heartbeat, -           running: status, -, current job, output
--         sum (the status id is command, tab, queue): -, -, numbers, -
--           (they add up but for the fifth, the longest; the first two are jobs that ended, and failed)
--         start: status if it has expired, status if it is parked, guard, -
--           (guard: 1 = it must not begin twice, key of uniqueness, id, seconds it is held, key of concurrency, how many,
--           when it expires; a line each)
--         done: status, result (JSON), key of concurrency if any, output
--         retry: seconds, status until then, the payload to try again, output
--         failed, crashed, interrupted, given back: status if it fails, status if it goes back, failure record, output
--         reply (the token is a message's): -, -, reply, the message
-- Builds from the prefix: queue:<q>, job:<id>:status, worker:<id>, stat:processed:<worker>, stat:failed:<worker>,
--       django:output:<id>, django:permits:<key>, django:parked:<key>, django:unparked:<key>, django:unique:<key>,
--       django:reply:<id>, django:stats:minute:<second>, django:stats:hour:<second>, django:stats:day:<second>,
--       django:stats:throughput:<second>, and the channel django:ended:<id>
-- Returns {state, server time, {refused token, …}, {token of a start that was parked or has expired, …}, queue,
--         {payload, …}, {crashes, …}, {trouble, …}, dropped failures, {member, lease, …}, run id, length of failed,
--         {queue, …}, reservations, {first delayed second or '', first retry or '', version of the schedule, message, …}};
--         the jobs' tokens are <number>.1, <number>.2, …; crashes is empty when no payload has any, else -1 for those
--         that have none; state is 'ok', 'paused' or 'gone' (unknown process). An older turn than the last is an error.
local prefix, number, queues = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[15])
local time = redis.call('TIME')
local now = string.format('%s.%06d', time[1], time[2])

local last = redis.call('HGET', KEYS[2], 'number')
if not last then
  return {'gone', now, {}, {}, '', {}, {}, {}, 0, {}, '', 0, {}, 0, {}}
end
if number < tonumber(last) then
  return redis.error_reply('STALE turn ' .. ARGV[2] .. ' arrived after a later one')
end

local trouble = {}
local function try(...) -- for what people look at: it must not stand in the way of the jobs
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    trouble[#trouble + 1] = reply.err .. ' (' .. tostring(select(2, ...)) .. ')'
    return nil
  end
  return reply
end

local function first_score(key)
  local first = try('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first and first[2] or ''
end

local function answer(state, refused, kept, queue, payloads, crashes, dropped)
  local processes, run_id, failures, names, held = {}, '', 0, {}, redis.call('HLEN', KEYS[3])
  local around = {}
  if string.find(ARGV[5], 'p', 1, true) then
    processes = redis.call('ZRANGE', KEYS[4], 0, 99, 'WITHSCORES')
    local info = redis.pcall('INFO', 'server') -- which not everybody may ask for
    run_id = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
    failures = redis.call('LLEN', KEYS[5])
    around = {first_score(KEYS[18]), first_score(KEYS[13]), try('GET', KEYS[19]) or ''}
    for _, message in ipairs(try('LRANGE', KEYS[20], 0, 9) or {}) do
      around[#around + 1] = message
    end
  end
  if string.find(ARGV[5], 'q', 1, true) then
    names = redis.call('SMEMBERS', KEYS[6])
  end
  return {
    state, now, refused, kept, queue, payloads, crashes, trouble, dropped, processes, run_id, failures, names, held, around,
  }
end

local function split(reserved) -- queue, the worker that has begun it, keys of concurrency and uniqueness, payload
  local at = string.find(reserved, '\n', 1, true) or 0
  local queue, worker, key, unique =
    string.match(string.sub(reserved, 1, at - 1), '^([^\t]*)\t?([^\t]*)\t?([^\t]*)\t?(.*)$')
  return queue, worker, key, unique, string.sub(reserved, at + 1)
end

local function words(text)
  local found = {}
  for word in string.gmatch(text, '%S+') do
    found[#found + 1] = word
  end
  return found
end

local any_crashes = redis.call('EXISTS', KEYS[8]) == 1
local function crashes_of(payload) -- nil when it has never been begun and not ended
  return any_crashes and tonumber(redis.call('HGET', KEYS[8], redis.sha1hex(payload)) or nil) or nil
end

local payloads, crashes = {}, {}
local function hand_out(payload, count)
  payloads[#payloads + 1] = payload
  if any_crashes then
    crashes[#crashes + 1] = count or -1
  end
end

if number == tonumber(last) then -- the answer to this turn was lost: give it again
  local before = redis.call('HMGET', KEYS[2], 'state', 'refused', 'queue', 'reserved', 'dropped', 'kept')
  for i = 1, tonumber(before[4]) do
    local reserved = redis.call('HGET', KEYS[3], ARGV[2] .. '.' .. i)
    if not reserved then
      return {'gone', now, {}, {}, '', {}, {}, {}, 0, {}, '', 0, {}, 0, {}} -- somebody has removed it: begin anew
    end
    local _, _, _, _, payload = split(reserved)
    hand_out(payload, crashes_of(payload))
  end
  return answer(before[1], words(before[2]), words(before[6] or ''), before[3], payloads, crashes, tonumber(before[5]))
end

-- From here on nothing may fail: the types first, then a write that opens the way when the memory is full.
redis.call('HLEN', KEYS[3])
redis.call('ZCARD', KEYS[4])
redis.call('LLEN', KEYS[5])
redis.call('SCARD', KEYS[6])
redis.call('HLEN', KEYS[8])
redis.call('ZCARD', KEYS[13])
redis.call('SCARD', KEYS[14])
redis.call('DEL', KEYS[1])

if ARGV[4] ~= '0' then
  redis.call('ZADD', KEYS[4], time[1] + ARGV[4], ARGV[3])
  redis.call('HSET', KEYS[2], 'heard', time[1])
end

if ARGV[14] ~= '0' then
  redis.call('HSET', KEYS[2], 'memory', ARGV[14])
end

if ARGV[13] ~= '' then
  redis.call('HSET', KEYS[2], 'mode', ARGV[13])
end

local name = string.match(ARGV[3], '^%S+')
local refused, kept, cleared, processed, failed, recent = {}, {}, {}, {}, {}, {}
local waited = redis.call('EXISTS', KEYS[16]) == 1
local some_paused = redis.call('EXISTS', KEYS[17]) == 1

local function set_status(id, status, seconds)
  if id ~= '' and seconds then
    try('SET', prefix .. 'job:' .. id .. ':status', status, 'XX', 'EX', seconds)
  elseif id ~= '' then
    try('SET', prefix .. 'job:' .. id .. ':status', status, 'XX', 'KEEPTTL')
  end
end

local function idle(worker) -- it performs nothing any more
  if worker ~= '' and not cleared[worker] then
    cleared[worker] = true
    try('DEL', prefix .. 'worker:' .. worker)
  end
end

local function performed(worker)
  idle(worker)
  processed[worker] = (processed[worker] or 0) + 1
end

local function tell_the_end(id, status, seconds, result)
  recent[#recent + 1] = status
  if result ~= '' then
    status = string.sub(status, 1, -2) .. ',"result":' .. result .. '}'
  end
  set_status(id, status, seconds)
  if waited and id ~= '' then
    redis.pcall('PUBLISH', prefix .. 'django:ended:' .. id, status)
  end
end

local function ring(queue)
  redis.pcall('PUBLISH', KEYS[12], queue)
end

local function let_go_first(key, payload) -- if it does not get a permit now, it is the first to wait for the next
  local on_the_way = prefix .. 'django:unparked:' .. key
  try('ZADD', on_the_way, time[1], redis.sha1hex(payload))
  try('EXPIRE', on_the_way, 60)
end

local function unpark(key, most) -- who has waited longest for one of so many permits goes back to the head of its queue
  local parked, on_the_way = prefix .. 'django:parked:' .. key, prefix .. 'django:unparked:' .. key
  local held, before = try('HLEN', prefix .. 'django:permits:' .. key) or 0, try('ZCOUNT', on_the_way, time[1] - 60, '+inf') or 0
  -- A second one mends what was lost when others were taken out of their queues on the way.
  for _ = 1, math.max(1, math.min(2, (tonumber(most) or 1) - held - before)) do
    local first = try('LINDEX', parked, 0)
    if not first then
      redis.call('SREM', KEYS[14], key)
      return
    end
    local queue, _, _, _, payload = split(first)
    local waits = some_paused and try('SISMEMBER', KEYS[17], queue) == 1
    if waits or not try('LPUSH', prefix .. 'queue:' .. queue, payload) then
      redis.call('LMOVE', parked, parked, 'LEFT', 'RIGHT') -- its queue is paused, or no list any more: others go first
    else
      redis.call('LPOP', parked)
      redis.call('SADD', KEYS[6], queue)
      let_go_first(key, payload)
      ring(queue)
    end
  end
end

local function free(token, key) -- its permit; gives how many there are
  local permits, field = prefix .. 'django:permits:' .. key, name .. '.' .. token
  local most = key ~= '' and try('HGET', permits, field)
  if most then
    redis.call('HDEL', permits, field)
  end
  return most
end

local function ended(token, worker, payload, key)
  redis.call('HDEL', KEYS[3], token)
  local most = free(token, key)
  if most then
    unpark(key, most)
  end
  if any_crashes then
    redis.call('HDEL', KEYS[8], redis.sha1hex(payload))
  end
  performed(worker)
end

local function fail(token, worker, payload, key, record)
  redis.call('RPUSH', KEYS[5], record)
  ended(token, worker, payload, key)
  failed[worker] = (failed[worker] or 0) + 1
end

local function suspect(payload, count)
  if redis.call('HLEN', KEYS[8]) >= 10000 then
    redis.call('HDEL', KEYS[8], redis.call('HRANDFIELD', KEYS[8]))
  end
  redis.call('HSET', KEYS[8], redis.sha1hex(payload), count)
  redis.call('EXPIRE', KEYS[8], ARGV[7])
  any_crashes = true
end

local function requeue(token, queue, payload, key, unique)
  local length = try('LPUSH', prefix .. 'queue:' .. queue, payload)
  if not length then
    return false -- its queue has become something else
  end
  redis.call('HDEL', KEYS[3], token)
  redis.call('SADD', KEYS[6], queue)
  if length == 1 then
    ring(queue)
  end
  if free(token, key) then -- it is the next to have one
    let_go_first(key, payload)
  end
  local unique_key, id, seconds = string.match(unique, '^(%S+) (%S+) (%d+)$')
  if unique_key then -- it waits again
    try('SET', prefix .. 'django:unique:' .. unique_key, id, 'NX', 'EX', seconds)
  end
  return true
end

local function start(token, queue, payload, entry)
  local worker, status_id, expired, parked, guard = entry[3], entry[4], entry[5], entry[6], entry[7]
  local once, unique, id, seconds, key, most, expires =
    string.match(guard, '^(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.*)$')
  local unique_key, permits = prefix .. 'django:unique:' .. unique, prefix .. 'django:permits:' .. key
  local function release()
    if unique ~= '' and try('GET', unique_key) == id then
      redis.call('DEL', unique_key)
    end
  end
  local goes_first = key ~= '' and try('ZREM', prefix .. 'django:unparked:' .. key, redis.sha1hex(payload)) == 1
  if expires ~= '' and tonumber(now) >= tonumber(expires) then
    release()
    ended(token, '', payload, '')
    tell_the_end(status_id, expired, ARGV[10], '')
    kept[#kept + 1] = token
    if goes_first then
      unpark(key, most)
    end
    return
  end
  local running = key ~= '' and try('HLEN', permits) or 0
  if key ~= '' and running >= tonumber(most) then
    if try(goes_first and 'LPUSH' or 'RPUSH', prefix .. 'django:parked:' .. key, queue .. '\n' .. payload) then
      redis.call('SADD', KEYS[14], key)
      redis.call('HDEL', KEYS[3], token)
      set_status(status_id, parked)
      kept[#kept + 1] = token
      return
    end
  end
  release()
  if key ~= '' and not try('HSET', permits, name .. '.' .. token, most) then
    key = ''
  end
  local again = unique ~= '' and unique .. ' ' .. id .. ' ' .. seconds or ''
  if once == '1' or key ~= '' or again ~= '' then
    local begun_by = once == '1' and worker or ''
    redis.call('HSET', KEYS[3], token, table.concat({queue, begun_by, key, again}, '\t') .. '\n' .. payload)
  end
end

local function numbers_of(text)
  local found = {}
  for number in string.gmatch(text, '%d+') do
    found[#found + 1] = tonumber(number)
  end
  return found
end

local function plus(before, sum)
  local is_text = before and #before <= 400 and not string.find(before, '[^%d ]')
  local total = is_text and numbers_of(before) or {}
  if #total ~= #sum then -- it is none of ours
    total = {}
  end
  for i, number in ipairs(sum) do
    local other = total[i] or 0
    total[i] = string.format('%.0f', i == 5 and math.max(other, number) or other + number)
  end
  return table.concat(total, ' ')
end

local sums = {} -- field, numbers, …
local function sum_up(unit, length, seconds)
  local key = prefix .. 'django:stats:' .. unit .. ':' .. string.format('%d', time[1] - time[1] % length)
  local size = try('HLEN', key)
  if not size then
    return
  end
  for i = 1, #sums, 2 do
    local field = sums[i]
    local before = redis.call('HGET', key, field)
    if not before and size >= 200 then
      field = '(other)\t(other)'
      before = redis.call('HGET', key, field)
    elseif not before then
      size = size + 1
    end
    redis.call('HSET', key, field, plus(before, sums[i + 1]))
  end
  redis.call('EXPIRE', key, seconds)
end

for at = 16 + 2 * queues, #ARGV, 8 do
  local kind, token, worker, status_id = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local status, second, record, output = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  -- nothing of what is reserved is needed
  local usual = kind == 'done' and output == '' and record == '' and not any_crashes
  local reserved = token ~= '' and kind ~= 'reply' and redis.call(usual and 'HDEL' or 'HGET', KEYS[3], token)
  if kind == 'beat' then
    try('HSET', KEYS[7], worker, record)
  elseif kind == 'sum' then
    sums[#sums + 1] = status_id
    sums[#sums + 1] = numbers_of(record)
  elseif kind == 'reply' then
    local reply = prefix .. 'django:reply:' .. token
    try('RPUSH', reply, record)
    try('EXPIRE', reply, 60)
    try('LREM', KEYS[20], 1, output)
  elseif usual and reserved == 1 then
    performed(worker)
    tell_the_end(status_id, status, ARGV[9], second)
  elseif usual or not reserved then
    refused[#refused + 1] = token
  else
    local queue, begun_by, key, unique, payload = split(reserved)
    if output ~= '' then
      try('SET', prefix .. 'django:output:' .. status_id, output, 'EX', ARGV[11])
    end
    if kind == 'running' then
      if record ~= '' then
        cleared[worker] = false
        try('SET', prefix .. 'worker:' .. worker, record)
      end
      set_status(status_id, status)
    elseif kind == 'start' then
      if begun_by == '' and key == '' and unique == '' then
        start(token, queue, payload, {kind, token, worker, status_id, status, second, record})
      end
    elseif kind == 'done' then
      ended(token, worker, payload, key)
      tell_the_end(status_id, status, ARGV[9], second)
    elseif kind == 'retry' then
      local due = string.format('%.6f', tonumber(now) + tonumber(status))
      redis.call('ZADD', KEYS[13], due, name .. '.' .. token .. ' ' .. status_id .. '\n' .. queue .. '\n' .. record)
      redis.call('HDEL', KEYS[3], token)
      local most = free(token, key)
      if most then
        unpark(key, most)
      end
      if any_crashes then
        redis.call('HDEL', KEYS[8], redis.sha1hex(payload))
      end
      idle(worker)
      set_status(status_id, second, math.ceil(tonumber(status)) + 604800)
    else -- failed, or crashed, interrupted, given back
      local count = crashes_of(payload)
      if kind == 'crashed' then
        count = (count or 0) + 1
      elseif kind == 'interrupted' then
        count = count or 0
      end
      local final = kind == 'failed' or (kind == 'crashed' and count >= tonumber(ARGV[6]))
      if not final and requeue(token, queue, payload, key, unique) then
        if kind ~= 'given back' then -- that was not what the worker performed
          idle(worker)
        end
        if count then
          suspect(payload, count)
        end
        set_status(status_id, second)
      else
        fail(token, worker, payload, key, record)
        tell_the_end(status_id, status, ARGV[10], '')
      end
    end
  end
end

if #recent > 0 then
  try('LPUSH', KEYS[15], unpack(recent))
  try('LTRIM', KEYS[15], 0, ARGV[12] - 1)
end

for worker, count in pairs(processed) do
  try('INCRBY', KEYS[9], count)
  if worker ~= '' then -- else no worker of ours has begun it
    try('INCRBY', prefix .. 'stat:processed:' .. worker, count)
  end
end

if #sums > 0 then
  sum_up('minute', 60, 93600)
  sum_up('hour', 3600, 7776000)
  sum_up('day', 86400, 7776000)
  local processed_now, failed_now = 0, 0
  for i = 2, #sums, 2 do
    processed_now, failed_now = processed_now + sums[i][1], failed_now + sums[i][2]
  end
  local hour = time[1] - time[1] % 3600
  local throughput = prefix .. 'django:stats:throughput:' .. string.format('%d', hour)
  local minute = math.floor((time[1] - hour) / 60)
  try('HINCRBY', throughput, 'p' .. minute, processed_now)
  if failed_now > 0 then
    try('HINCRBY', throughput, 'f' .. minute, failed_now)
  end
  try('EXPIRE', throughput, 97200)
end

local dropped = 0
if next(failed) then
  for worker, count in pairs(failed) do
    try('INCRBY', KEYS[10], count)
    if worker ~= '' then
      try('INCRBY', prefix .. 'stat:failed:' .. worker, count)
    end
  end
  -- A few at a time: the list may be another program's, and far longer than ours.
  dropped = math.max(0, math.min(redis.call('LLEN', KEYS[5]) - tonumber(ARGV[8]), 100))
  if dropped > 0 then
    redis.call('LTRIM', KEYS[5], dropped, -1)
  end
end

local function take(queue, wanted) -- a batch comes from one queue; a suspect comes alone
  if some_paused and try('SISMEMBER', KEYS[17], queue) == 1 then
    return false
  end
  local key, size, new = prefix .. 'queue:' .. queue, 0, {}
  while #payloads < wanted and size < 1000000 do
    local count
    if any_crashes then
      local head = try('LINDEX', key, 0)
      count = head and crashes_of(head)
      if count and #payloads > 0 then
        break
      end
    end
    local payload = try('LPOP', key)
    if not payload then
      break
    end
    hand_out(payload, count)
    size = size + #payload
    new[#new + 1] = ARGV[2] .. '.' .. #payloads
    new[#new + 1] = queue .. '\n' .. payload
    if count then
      break
    end
  end
  if #new > 0 then
    redis.call('HSET', KEYS[3], unpack(new))
  end
  return #new > 0
end

local state, taken = 'ok', ''
local pause = redis.pcall('GET', KEYS[11])
if type(pause) == 'string' and string.lower(string.match(pause, '^%s*(.-)%s*$')) == 'true' then
  state = 'paused'
else
  for i = 16, 15 + 2 * queues, 2 do
    if take(ARGV[i], tonumber(ARGV[i + 1])) then
      taken = ARGV[i]
      break
    end
  end
end

redis.call('HSET', KEYS[2], 'number', number, 'state', state, 'refused', table.concat(refused, ' '), 'queue', taken,
  'reserved', #payloads, 'dropped', dropped, 'kept', table.concat(kept, ' '))
return answer(state, refused, kept, taken, payloads, crashes, dropped)
