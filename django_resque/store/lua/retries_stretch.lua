-- The retries from a moment on, as many as one looks through at once. For looking alone.
-- KEYS: 1 the retries
-- ARGV: 1 the moment ('-inf' = from the first on), 2 most retries, 3 most bytes
-- Returns {server time, {member, score, …}, score of the first one that is not in the answer or ''}. One at least, if
--         there is any.
local found, count, bytes, left, time = {}, 0, 0, '', redis.call('TIME')
local at = ARGV[1] == '-inf' and 0 or redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[1])
while left == '' do
  local some = redis.call('ZRANGE', KEYS[1], at, at + 9, 'WITHSCORES') -- a few at a time, because they may be large
  for i = 1, #some, 2 do
    if count == tonumber(ARGV[2]) or (count > 0 and bytes + #some[i] > tonumber(ARGV[3])) then
      left = some[i + 1]
      break
    end
    found[#found + 1], found[#found + 2] = some[i], some[i + 1]
    count, bytes = count + 1, bytes + #some[i]
  end
  if #some < 20 then
    break
  end
  at = at + 10
end
return {string.format('%s.%06d', time[1], time[2]), found, left}
