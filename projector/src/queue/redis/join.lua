-- Applies a step that is joins of new tickets and nothing else: what most of
-- an opening's log is, and what a rebuild has most of.
-- KEYS: the opening's status, tickets, present.
-- ARGV: the position that the step follows, the position after it, the place
-- after it, the least number of the step (0: they have none), how many
-- tickets, then the tickets, each with its entry; then, where they have
-- numbers, each number with its bytes.
-- Answers OK, or the stored position when it is another, or MIXED when the
-- general step has to tell what becomes of them; then nothing is written.
local status, tickets, present = unpack(KEYS)
local head = redis.call('HMGET', status, 'position', 'cohort_count')
local stored = head[1] or '0'
if stored ~= ARGV[1] then return stored end
local least, count = tonumber(ARGV[4]), tonumber(ARGV[5])
if not head[1] or (least > 0 and least <= tonumber(head[2] or '0')) then return 'MIXED' end

local FIRST, PART = 6, 3000
local last = FIRST + 2 * count - 1
for first = FIRST, last, PART do
  local names = {}
  for i = first, math.min(first + PART - 1, last), 2 do names[#names + 1] = ARGV[i] end
  for _, known in ipairs(redis.call('HMGET', tickets, unpack(names))) do
    if known then return 'MIXED' end
  end
end

local function in_parts(command, key, from, to)
  for first = from, to, PART do
    redis.call(command, key, unpack(ARGV, first, math.min(first + PART - 1, to)))
  end
end
in_parts('HSET', tickets, FIRST, last)
in_parts('ZADD', present, last + 1, #ARGV)
redis.call('HINCRBY', status, least > 0 and 'n:W' or 'n:L', count)
redis.call('HSET', status, 'position', ARGV[2], 'place', ARGV[3])
return 'OK'
