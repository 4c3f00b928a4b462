-- Writes a part of a list down, which nobody sees before the step that names
-- it. Writing it twice is writing it once.
-- KEYS: the opening's status, the list.
-- ARGV: the position that the step follows, where the part begins, the part.
-- Answers OK, or the stored position when it is another.
local stored = redis.call('HGET', KEYS[1], 'position') or '0'
if stored ~= ARGV[1] then return stored end
redis.call('SETRANGE', KEYS[2], ARGV[2], ARGV[3])
return 'OK'
