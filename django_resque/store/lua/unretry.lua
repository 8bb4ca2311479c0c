-- Take retries from those that wait: to cancel them or to run them now.
-- KEYS: 1 a key that never exists, 2 the retries, 3 queues, 4 stat:processed, 5 the bell's channel
-- ARGV: 1 the prefix of all keys;
--       then for each: member, what becomes of it (cancel or run), queue, payload, status id, status,
--       seconds that is kept ('' = as long as before)
-- Builds from the prefix: queue:<q>, job:<id>:status, and the channel django:ended:<id>
-- Returns {a letter for each, {trouble, …}}: d = done, g = it was not there any more, w = its queue is no list,
--         so it stays.
local prefix = ARGV[1]
redis.call('ZCARD', KEYS[2])
redis.call('SCARD', KEYS[3])
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

local letters = {}
for at = 2, #ARGV, 7 do
  local member, act, queue, payload = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local status_id, status, kept = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6]
  local letter = 'g'
  if redis.call('ZSCORE', KEYS[2], member) then
    letter = 'd'
    if act == 'cancel' then
      try('INCR', KEYS[4])
    else
      local length = try('RPUSH', prefix .. 'queue:' .. queue, payload)
      if not length then
        letter = 'w'
      else
        redis.call('SADD', KEYS[3], queue)
        if length == 1 then
          try('PUBLISH', KEYS[5], queue)
        end
      end
    end
  end
  if letter == 'd' then
    redis.call('ZREM', KEYS[2], member)
    if status_id ~= '' and kept ~= '' then
      try('SET', prefix .. 'job:' .. status_id .. ':status', status, 'XX', 'EX', kept)
      if act == 'cancel' then
        try('PUBLISH', prefix .. 'django:ended:' .. status_id, status)
      end
    elseif status_id ~= '' then
      try('SET', prefix .. 'job:' .. status_id .. ':status', status, 'XX', 'KEEPTTL')
    end
  end
  letters[#letters + 1] = letter
end
return {table.concat(letters), trouble}
