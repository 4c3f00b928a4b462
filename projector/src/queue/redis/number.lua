-- Writes drawn numbers down, which nobody sees before the draw's step.
-- Writing them twice is writing them once.
-- KEYS: the opening's status, tickets, present.
-- ARGV: the position that the draw follows, then tickets of 32 bytes, each
-- with its number in 4.
-- Answers OK, or the stored position when it is another, or POISON and why.
local status, tickets, present = unpack(KEYS)
local stored = redis.call('HGET', status, 'position') or '0'
if stored ~= ARGV[1] then return stored end
local packed = ARGV[2]
local names, numbers = {}, {}
for at = 1, #packed, 36 do
  names[#names + 1] = string.sub(packed, at, at + 31)
  numbers[#numbers + 1] = string.sub(packed, at + 32, at + 35)
end
local entries = redis.call('HMGET', tickets, unpack(names))
local written, joined = {}, {}
for i = 1, #names do
  local entry, number = entries[i], numbers[i]
  if not entry then return 'POISON a ticket of the cohort is not there' end
  written[2 * i - 1] = names[i]
  written[2 * i] = string.sub(entry, 1, 2) .. number .. string.sub(entry, 7)
  if string.sub(entry, 1, 1) == 'L' then
    local a, b, c, d = string.byte(number, 1, 4)
    joined[#joined + 1] = ((a * 256 + b) * 256 + c) * 256 + d
    joined[#joined + 1] = number
  end
end
redis.call('HSET', tickets, unpack(written))
if #joined > 0 then redis.call('ZADD', present, unpack(joined)) end
return 'OK'
