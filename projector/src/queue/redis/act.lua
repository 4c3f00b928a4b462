-- Lets a stopped projection go on.
-- KEYS: the place, the acts.
-- ARGV: the offset that it stopped at, the act; for a skip also the position
-- that it follows, the position after it, the place after it.
-- Answers OK, or REFUSED when it did not stop there or is elsewhere.
local held = redis.call('HMGET', KEYS[1], 'stopped_at', 'position')
if held[1] ~= ARGV[1] then return 'REFUSED' end
if ARGV[3] then
  if (held[2] or '0') ~= ARGV[3] then return 'REFUSED' end
  redis.call('HSET', KEYS[1], 'position', ARGV[4], 'place', ARGV[5])
end
redis.call('HDEL', KEYS[1], 'stopped_at', 'stop')
redis.call('LPUSH', KEYS[2], ARGV[2])
return 'OK'
