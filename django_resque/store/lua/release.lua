-- Give up the locks of the family's schedulers, when no process of ours is left that would keep them.
-- KEYS: 1 Ruby's lock, 2 node's lock, 3 the scheduler that looked last, 4 the processes
-- Returns how many locks were given up.
if redis.call('ZCARD', KEYS[4]) > 1 then
  return 0
end
local given = 0
for i = 1, 2 do
  local held = redis.pcall('GET', KEYS[i])
  if type(held) == 'string' and string.sub(held, 1, 7) == 'django:' then
    given = given + redis.call('DEL', KEYS[i])
  end
end
redis.call('DEL', KEYS[3])
return given
