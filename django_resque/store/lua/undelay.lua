-- Take delayed jobs from their second, wherever in it they stand: to cancel, to run or to move them.
-- KEYS: 1 a key that never exists, 2 the delayed schedule, 3 queues, 4 stat:processed, 5 the bell's channel
-- ARGV: 1 the prefix of all keys, 2 most elements to look through;
--       then for each: second, item, what becomes of it (cancel, run, or the second it is moved to), queue, status id,
--       status, seconds that is kept ('' = as long as before), '' or, with line feeds between them, its id, its key of
--       uniqueness and the seconds that is held
-- Builds from the prefix: delayed:<second>, timestamps:<item>, queue:<q>, job:<id>:status, django:unique:<key>,
--       and the channel django:ended:<id>
-- Returns {a letter for each, {trouble, …}}: d = done, g = it was not there any more, w = where it should go is no list, so
--         it stays. Fewer letters than items: ask again for the others.
local prefix = ARGV[1]
local time = redis.call('TIME')
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

local function is_list_or_none(key)
  local kind = redis.call('TYPE', key)['ok']
  return kind == 'list' or kind == 'none'
end

local function take(second, item)
  local list, member = prefix .. 'delayed:' .. second, 'delayed:' .. second
  local taken = redis.pcall('LREM', list, 1, item) == 1
  if taken then
    if redis.call('EXISTS', list) == 0 then
      redis.call('ZREM', KEYS[2], second)
    end
    if not redis.call('LPOS', list, item) then -- else another one is the same to the byte
      redis.pcall('SREM', prefix .. 'timestamps:' .. item, member)
    end
  end
  return taken
end

local function hold(holder, until_then) -- its key of uniqueness: free it, or hold it until it may begin
  local id, key, seconds = string.match(holder, '^([^\n]*)\n(.*)\n([^\n]*)$')
  local name = key and prefix .. 'django:unique:' .. key
  if not key or try('GET', name) ~= id then
    return
  elseif until_then then
    redis.call('EXPIRE', name, math.ceil(math.max(0, until_then - time[1]) + seconds))
  else
    redis.call('DEL', name)
  end
end

local letters, looked = {}, 0
for at = 3, #ARGV, 8 do
  local second, item, act, queue = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local status_id, status, kept, holder = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  local length = redis.pcall('LLEN', prefix .. 'delayed:' .. second)
  looked = looked + (type(length) == 'number' and length or 0)
  if #letters > 0 and looked > tonumber(ARGV[2]) then
    break
  end
  local goal = act == 'run' and prefix .. 'queue:' .. queue or prefix .. 'delayed:' .. act
  local letter = 'g'
  if act ~= 'cancel' and not is_list_or_none(goal) then
    letter = 'w'
  elseif take(second, item) then
    letter = 'd'
    if act == 'cancel' then
      try('INCR', KEYS[4])
      hold(holder)
    elseif act == 'run' then
      redis.call('SADD', KEYS[3], queue)
      if redis.call('RPUSH', goal, item) == 1 then
        try('PUBLISH', KEYS[5], queue)
      end
    else
      redis.call('RPUSH', goal, item)
      redis.call('ZADD', KEYS[2], act, act)
      try('SADD', prefix .. 'timestamps:' .. item, 'delayed:' .. act)
      hold(holder, tonumber(act))
      if tonumber(act) - time[1] < 2 then
        try('PUBLISH', KEYS[5], ':due')
      end
    end
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
