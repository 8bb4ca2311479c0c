-- Put delayed jobs that are due on their queues, each only while it is the first of its second.
-- KEYS: 1 a key that never exists, 2 the delayed schedule, 3 queues, 4 failed, 5 stat:processed, 6 stat:failed,
--       7 the bell's channel
-- ARGV: 1 the prefix of all keys, 2 seconds the status of a job that ends here is kept;
--       then for each: second, item, queue ('' = it goes to none), status id, status on its queue, and '' or 'or' before
--       what counts where it goes to no queue: status when it ends here, failure record ('' = none), '' or, with a line
--       feed between them, its id and its key of uniqueness
-- Builds from the prefix: delayed:<second>, timestamps:<item>, queue:<q>, job:<id>:status, django:unique:<key>,
--       and the channel django:ended:<id>
-- Returns {a letter for each, {trouble, …}}: p = pushed, f = failed, d = dropped (it has neither queue nor record),
--         g = it was not there any more, w = its queue is no list and it has no record: it stays.
local prefix = ARGV[1]
redis.call('ZCARD', KEYS[2])
redis.call('SCARD', KEYS[3])
redis.call('LLEN', KEYS[4])
redis.call('DEL', KEYS[1]) -- the first write opens the way when the memory is full

local trouble = {}
local function try(...) -- what is broken must not stand in the way of the rest
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    trouble[#trouble + 1] = reply.err .. ' (' .. tostring(select(2, ...)) .. ')'
    return nil
  end
  return reply
end

local known = {}
local function push(queue, item)
  local length = redis.pcall('RPUSH', prefix .. 'queue:' .. queue, item)
  if type(length) == 'table' then
    trouble[#trouble + 1] = length.err .. ' (' .. prefix .. 'queue:' .. queue .. ')'
    return false
  end
  if not known[queue] then
    known[queue] = true
    redis.call('SADD', KEYS[3], queue)
  end
  if length == 1 then
    try('PUBLISH', KEYS[7], queue)
  end
  return true
end

local function finish(status_id, status, record, holder)
  try('INCR', KEYS[5])
  if record ~= '' then
    redis.call('RPUSH', KEYS[4], record)
    try('INCR', KEYS[6])
  end
  if status_id ~= '' then
    try('SET', prefix .. 'job:' .. status_id .. ':status', status, 'XX', 'EX', ARGV[2])
    try('PUBLISH', prefix .. 'django:ended:' .. status_id, status)
  end
  local id, key = string.match(holder, '^([^\n]*)\n(.*)$')
  if key and try('GET', prefix .. 'django:unique:' .. key) == id then
    redis.call('DEL', prefix .. 'django:unique:' .. key)
  end
end

local letters, lists, left = {}, {}, {} -- for each second: its list, how many items are in it
local at = 3
while at < #ARGV do
  local second, item, queue, status_id = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local waiting, status, record, holder = ARGV[at + 4], '', '', ''
  if ARGV[at + 5] == '' then
    at = at + 6
  else
    status, record, holder = ARGV[at + 6], ARGV[at + 7], ARGV[at + 8]
    at = at + 9
  end
  if not lists[second] then
    lists[second] = prefix .. 'delayed:' .. second
    left[second] = redis.pcall('LLEN', lists[second])
  end
  local list, letter = lists[second], 'g'
  if redis.pcall('LINDEX', list, 0) == item then
    if queue ~= '' and push(queue, item) then
      letter = 'p'
      if status_id ~= '' then
        try('SET', prefix .. 'job:' .. status_id .. ':status', waiting, 'XX', 'KEEPTTL')
      end
    elseif queue ~= '' and record == '' then
      letter = 'w'
    else
      letter = record == '' and 'd' or 'f'
      finish(status_id, status, record, holder)
    end
  end
  if letter ~= 'w' and letter ~= 'g' then
    redis.call('LPOP', list)
    redis.pcall('SREM', prefix .. 'timestamps:' .. item, 'delayed:' .. second)
    left[second] = left[second] - 1
    if left[second] == 0 then
      redis.call('ZREM', KEYS[2], second)
    end
  end
  letters[#letters + 1] = letter
end
return {table.concat(letters), trouble}
