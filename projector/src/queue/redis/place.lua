-- Moves a partition's place forward. It may lag behind its openings'.
-- KEYS[1]: the place. ARGV: the position that the step follows, the position
-- after it, the new place.
-- Answers OK, or LOST when the stored one is before what the step follows.
local stored = redis.call('HGET', KEYS[1], 'position') or '0'
if tonumber(stored) < tonumber(ARGV[1]) then return 'LOST' end
if tonumber(stored) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'position', ARGV[2], 'place', ARGV[3])
end
return 'OK'
