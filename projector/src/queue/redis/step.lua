-- Applies the small changes of one opening, all or nothing.
-- KEYS[1]: the opening's status. ARGV: the position that the step follows,
-- the position after it, then the changes, each with its letter first:
--   T ticket state number deadline given moved_from    ('' keeps or is none)
--   S field value
--   A bucket count serving_number oldest_bucket
-- Answers OK, or the stored position when it is another, or UNKNOWN when the
-- opening was never scheduled.
local status = KEYS[1]
local stored = redis.call('HGET', status, 'position') or '0'
if stored ~= ARGV[1] then return stored end
local gen = redis.call('HGET', status, 'gen') or '0'
local tickets, waiting = status .. ':t:' .. gen, status .. ':w:' .. gen
local known = redis.call('HEXISTS', status, 'title') == 1
local counts = {}
local i = 3
while i <= #ARGV do
  local op = ARGV[i]
  if op == 'S' then
    if ARGV[i + 1] == 'title' then known = true end
    redis.call('HSET', status, ARGV[i + 1], ARGV[i + 2])
    i = i + 3
  elseif not known then
    return 'UNKNOWN'
  elseif op == 'A' then
    redis.call('HSET', status, 'serving_number', ARGV[i + 3])
    redis.call('HINCRBY', status .. ':outflow', ARGV[i + 1], ARGV[i + 2])
    for _, bucket in ipairs(redis.call('HKEYS', status .. ':outflow')) do
      if tonumber(bucket) < tonumber(ARGV[i + 4]) then redis.call('HDEL', status .. ':outflow', bucket) end
    end
    i = i + 5
  else
    local ticket, state, number = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local old = redis.call('HGET', tickets, ticket)
    if old then
      local old_state = string.sub(old, 1, 1)
      counts[old_state] = (counts[old_state] or 0) - 1
      if number == '' then number = string.match(old, '^%a:(%d*)') end
      if old_state == 'W' then redis.call('ZREM', waiting, ticket) end
    end
    if state == 'W' and number == '' then state = 'L' end
    if state == 'L' and number ~= '' then state = 'W' end
    counts[state] = (counts[state] or 0) + 1
    if state == 'W' then redis.call('ZADD', waiting, number, ticket) end
    redis.call('HSET', tickets, ticket, state .. ':' .. number .. ':' .. ARGV[i + 4] .. ':' .. ARGV[i + 5])
    if ARGV[i + 6] ~= '' then redis.call('HSET', status .. ':moved', ticket, ARGV[i + 6]) end
    i = i + 7
  end
end
for state, change in pairs(counts) do
  if change ~= 0 then redis.call('HINCRBY', status .. ':c:' .. gen, state, change) end
end
redis.call('HSET', status, 'position', ARGV[2])
return 'OK'
