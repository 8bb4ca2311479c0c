-- Enqueue the jobs of a schedule entry's slots, each slot once, however many schedulers try.
-- KEYS: 1 the slots that are done with, 2 the schedule's version, 3 the set of queues, 4 the bell's channel,
--       5 the last jobs, 6 the slots that were missed; then for each slot its job's queue and status
-- ARGV: 1 name of the entry, 2 version of the schedule that it was read from, 3 the slot up to which all is done with
--       then, 4 seconds a status is kept, 5 the prefix of all keys, 6 and 7 the first and the last slot that was missed
--       ('' = none was);
--       then for each slot, in order: slot (unix seconds), name of the queue, payload, status ('' = not tracked), id, key
--       of uniqueness ('' = none), seconds the key is held
-- Builds from the prefix: django:unique:<key>
-- Returns {state, slot that was done with before, slot that is done with now ('' = none), {1 = enqueued, 0 = not, 2 = not,
--         for another waits under its key; for each slot}, trouble}: state is 'done', or 'changed' when the schedule has
--         another version; trouble names a key of the wrong type, from whose slot on nothing is done.
if (tonumber(string.match(redis.call('GET', KEYS[2]) or '', '^%d+$')) or 0) ~= tonumber(ARGV[2]) then
  return {'changed', '', '', {}, ''}
end
local time = redis.call('TIME')
local now = tonumber(time[1])
local before = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local done = tonumber(before) or -1
local kind = redis.call('TYPE', KEYS[3])['ok']
if kind ~= 'set' and kind ~= 'none' then
  return {'done', before, before, {}, 'WRONGTYPE ' .. KEYS[3] .. ' is a ' .. kind .. ' and not a set'}
end

-- A full server refuses the first of these writes and then nothing is changed; it never refuses a later one.
local enqueued, trouble, last = {}, '', done
local job, made_up, missed = nil, 0, tonumber(ARGV[7]) or -1
for i = 0, (#ARGV - 7) / 7 - 1 do
  local at = 8 + 7 * i
  local slot = tonumber(ARGV[at])
  local name, payload, status = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local queue = KEYS[7 + 2 * i]
  enqueued[i + 1] = 0
  if slot > now then
    break -- never early, whatever clock the caller goes by
  elseif slot > done then
    local found = redis.call('TYPE', queue)['ok']
    if found ~= 'list' and found ~= 'none' then
      trouble = 'WRONGTYPE ' .. queue .. ' is a ' .. found .. ' and not a list'
      break
    end
    local unique = ARGV[at + 5]
    if unique ~= '' and not redis.call('SET', ARGV[5] .. 'django:unique:' .. unique, ARGV[at + 4], 'NX', 'EX', ARGV[at + 6]) then
      enqueued[i + 1] = 2
    else
      local length = redis.call('RPUSH', queue, payload)
      redis.call('SADD', KEYS[3], name)
      if status ~= '' then
        redis.call('SET', KEYS[8 + 2 * i], status, 'EX', ARGV[4])
      end
      if length == 1 then
        redis.pcall('PUBLISH', KEYS[4], name) -- who may not ring the bell may push all the same
      end
      enqueued[i + 1] = 1
      job = string.format('%.0f %s', slot, ARGV[at + 4])
      made_up = made_up + (slot <= missed and 1 or 0)
    end
    last = slot
  end
end
if trouble == '' and tonumber(ARGV[3]) <= now then
  last = math.max(last, tonumber(ARGV[3]))
end
local after = before
if last > done then
  after = string.format('%.0f', last)
  redis.call('HSET', KEYS[1], ARGV[1], after)
  if job then
    redis.pcall('HSET', KEYS[5], ARGV[1], job) -- what is only told must not stand in the way
  end
  if missed >= 0 then
    local first, noted = ARGV[6], redis.pcall('HGET', KEYS[6], ARGV[1])
    local from, to, so_far = string.match(type(noted) == 'string' and noted or '', '^(%d+) (%d+) (%d+) %d+$')
    if to and tonumber(to) == done then -- those before are a part of these
      first, made_up = from, made_up + tonumber(so_far)
    end
    missed = math.min(missed, last)
    redis.pcall('HSET', KEYS[6], ARGV[1], string.format('%s %.0f %.0f %.0f', first, missed, made_up, now))
  end
end
return {'done', before, after, enqueued, trouble}
