-- Moves a partition's place. It may lag behind its openings'.
-- KEYS: the place, the positions of the partition's openings.
-- ARGV: the position that the step follows, the position after it, the new
-- place, then openings with their positions.
-- Answers OK, or the stored position when it is another.
local stored = redis.call('HGET', KEYS[1], 'position') or '0'
if stored ~= ARGV[1] then return stored end
redis.call('HSET', KEYS[1], 'position', ARGV[2], 'place', ARGV[3])
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 'OK'
