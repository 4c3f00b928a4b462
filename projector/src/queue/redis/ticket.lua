-- A ticket as it is.
-- KEYS: the opening's status, tickets, present, moved-from, moved-to.
-- ARGV: the ticket.
-- Answers the opening's position and place; then, where there is such a
-- ticket, its state, its number (0: none), how many present ones are ahead
-- (-1: not in a drawn line), its deadline, whose place it took over, and who
-- took over its place ('': nobody).
local status, tickets, present, moved_from, moved_to = unpack(KEYS)
local head = redis.call('HMGET', status, 'position', 'place', 'drawn', 'cohort_count')
local position, place, drawn = head[1] or '0', head[2] or '', head[3]
local entry = redis.call('HGET', tickets, ARGV[1])
if not entry then return { position, place } end
local state, marks = string.sub(entry, 1, 1), string.byte(entry, 2) - 48
local a, b, c, d = string.byte(entry, 3, 6)
local number = ((a * 256 + b) * 256 + c) * 256 + d
if not drawn and number <= tonumber(head[4] or '0') then number = 0 end
if state == 'L' and number > 0 then state = 'W' end
local ahead = -1
if drawn and number > 0 and (state == 'W' or state == 'A') then
  ahead = redis.call('ZCOUNT', present, '-inf', '(' .. number)
end
local from, to = '', ''
if marks % 2 == 1 then from = redis.call('HGET', moved_from, ARGV[1]) or '' end
if marks >= 2 then to = redis.call('HGET', moved_to, ARGV[1]) or '' end
return { position, place, state, number, ahead, string.sub(entry, 7), from, to }
