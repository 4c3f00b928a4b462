-- An opening's whole status and its outflow.
-- KEYS: the opening's status, outflow.
return { redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]) }
