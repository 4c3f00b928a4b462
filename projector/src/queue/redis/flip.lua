-- Ends a large change: what was built unseen is seen from now on.
-- KEYS[1]: the opening's status. ARGV: the position that the step follows,
-- the position after it, the new generation of tickets ('' keeps the old
-- one), then fields and values of the status.
-- Answers OK, or the stored position when it is another.
local status = KEYS[1]
local stored = redis.call('HGET', status, 'position') or '0'
if stored ~= ARGV[1] then return stored end
local old = redis.call('HGET', status, 'gen') or '0'
local new = ARGV[3]
if new ~= '' then redis.call('HSET', status, 'gen', new) end
for i = 4, #ARGV, 2 do redis.call('HSET', status, ARGV[i], ARGV[i + 1]) end
local seen = { [new ~= '' and new or old] = true }
seen[redis.call('HGET', status, 'cohort') or ''] = true
seen[redis.call('HGET', status, 'order') or ''] = true
local built = redis.call('SMEMBERS', status .. ':built')
table.insert(built, old)
for _, gen in ipairs(built) do
  if not seen[gen] then
    for _, kind in ipairs({ ':t:', ':w:', ':c:', ':l:' }) do redis.call('UNLINK', status .. kind .. gen) end
    redis.call('SREM', status .. ':built', gen)
  end
end
redis.call('HSET', status, 'position', ARGV[2])
return 'OK'
