-- An opening's whole status, its counts and its outflow.
-- KEYS[1]: the opening's status.
local status = KEYS[1]
local gen = redis.call('HGET', status, 'gen') or '0'
return {
  redis.call('HGETALL', status),
  redis.call('HGETALL', status .. ':c:' .. gen),
  redis.call('HGETALL', status .. ':outflow'),
}
