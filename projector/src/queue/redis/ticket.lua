-- A ticket as it is: the opening's position, the ticket's entry, how many
-- present ones are ahead (-1: not in a drawn line), whose place it took over.
-- KEYS[1]: the opening's status. ARGV[1]: the ticket.
local status = KEYS[1]
local head = redis.call('HMGET', status, 'position', 'gen', 'order')
local gen = head[2] or '0'
local entry = redis.call('HGET', status .. ':t:' .. gen, ARGV[1])
if not entry then return { head[1] or '0' } end
local state, number = string.match(entry, '^(%a):(%d*)')
local ahead = -1
if head[3] and number ~= '' and (state == 'W' or state == 'A') then
  ahead = redis.call('ZCOUNT', status .. ':w:' .. gen, '-inf', '(' .. number)
end
return { head[1] or '0', entry, ahead, redis.call('HGET', status .. ':moved', ARGV[1]) or '' }
