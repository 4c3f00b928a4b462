-- Applies one step of an opening, all or nothing.
-- KEYS: the opening's status, tickets, present, moved-from, moved-to, outflow.
-- ARGV: the position that the step follows, the position after it, the place
-- after it, whether the opening begins (0 or 1), the packed changes of
-- tickets, then the changes of the status, each with its letter first:
--   S field value
--   A bucket count serving_number window_ms
--   D                                        (the draw is held: show its numbers)
-- Answers OK, or the stored position when it is another, or POISON and why.
local status, tickets, present, moved_from, moved_to, outflow = unpack(KEYS)
local head = redis.call('HMGET', status, 'position', 'drawn', 'cohort_count')
local stored = head[1] or '0'
if stored ~= ARGV[1] then return stored end
if head[1] and ARGV[4] == '1' then return 'POISON the opening was scheduled before' end
if not head[1] and ARGV[4] ~= '1' then return 'POISON the opening was never scheduled' end
local drawn, cohort_count = head[2], tonumber(head[3] or '0')
local NONE = '\0\0\0\0'
local sub, byte = string.sub, string.byte

local function number(bytes)
  local a, b, c, d = byte(bytes, 1, 4)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- A number of the cohort is not seen before its draw is held.
local function at_rest(state, bytes)
  local seen = bytes ~= NONE and (drawn or number(bytes) > cohort_count)
  if state == 'W' and not seen then return 'L' end
  if state == 'L' and seen then return 'W' end
  return state
end

-- The changes: kind, ticket, state, number, and what the kind adds.
local kinds, names, states, numbers, extras, unique, entries = {}, {}, {}, {}, {}, {}, {}
local packed, at, n = ARGV[5], 1, 0
local extra_bytes = { n = 0, o = 0, d = 16, m = 32 }
while at <= #packed do
  n = n + 1
  local kind, name = sub(packed, at, at), sub(packed, at + 1, at + 32)
  kinds[n], names[n] = kind, name
  states[n], numbers[n] = sub(packed, at + 33, at + 33), sub(packed, at + 34, at + 37)
  local extra = extra_bytes[kind]
  if extra > 0 then extras[n] = sub(packed, at + 38, at + 37 + extra) end
  at = at + 38 + extra
  if entries[name] == nil then
    entries[name] = false
    unique[#unique + 1] = name
  end
end
for first = 1, #unique, 2000 do
  local last = math.min(first + 1999, #unique)
  local found = redis.call('HMGET', tickets, unpack(unique, first, last))
  for i = first, last do entries[unique[i]] = found[i - first + 1] end
end

-- All is computed first, as nothing may be written before nothing can fail.
local counts, line, from_pairs, to_pairs, to_gone = {}, {}, {}, {}, {}
for i = 1, n do
  local kind, name, state, bytes = kinds[i], names[i], states[i], numbers[i]
  local old = entries[name]
  local marks, deadline = '0', ''
  if old then
    local old_bytes = sub(old, 3, 6)
    local old_state = at_rest(sub(old, 1, 1), old_bytes)
    counts[old_state] = (counts[old_state] or 0) - 1
    if old_state == 'W' then line[old_bytes] = false end
    if bytes == NONE then bytes = old_bytes end
    marks, deadline = sub(old, 2, 2), sub(old, 7)
  elseif kind == 'o' or kind == 'd' then
    return 'POISON there is no such ticket'
  end
  if kind == 'd' then
    deadline = extras[i]
  elseif kind == 'm' then
    local from = extras[i]
    local entry = entries[from]
    if not entry then return 'POISON a place was taken over that is not there' end
    deadline = sub(entry, 7)
    entries[from] = sub(entry, 1, 1) .. (byte(entry, 2) % 2 == 1 and '3' or '2') .. sub(entry, 3)
    marks = '1'
    from_pairs[#from_pairs + 1] = name
    from_pairs[#from_pairs + 1] = from
    to_pairs[from], to_pairs[name] = name, nil
    to_gone[#to_gone + 1] = name
  end
  state = at_rest(state, bytes)
  counts[state] = (counts[state] or 0) + 1
  if state == 'W' then line[bytes] = true end
  entries[name] = state .. marks .. bytes .. deadline
end

local function in_parts(command, key, list)
  for first = 1, #list, 4000 do
    redis.call(command, key, unpack(list, first, math.min(first + 3999, #list)))
  end
end
local written, joined, gone, taken_over = {}, {}, {}, {}
for i = 1, #unique do
  written[2 * i - 1], written[2 * i] = unique[i], entries[unique[i]]
end
for bytes, waits in pairs(line) do
  if waits then
    joined[#joined + 1] = number(bytes)
    joined[#joined + 1] = bytes
  else
    gone[#gone + 1] = bytes
  end
end
for from, to in pairs(to_pairs) do
  taken_over[#taken_over + 1] = from
  taken_over[#taken_over + 1] = to
end
in_parts('HSET', tickets, written)
in_parts('ZREM', present, gone)
in_parts('ZADD', present, joined)
in_parts('HSET', moved_from, from_pairs)
in_parts('HDEL', moved_to, to_gone)
in_parts('HSET', moved_to, taken_over)
for state, change in pairs(counts) do
  if change ~= 0 then redis.call('HINCRBY', status, 'n:' .. state, change) end
end

local function forget_old_buckets(window)
  local buckets, newest = redis.call('HKEYS', outflow), -math.huge
  for _, bucket in ipairs(buckets) do newest = math.max(newest, tonumber(bucket)) end
  for _, bucket in ipairs(buckets) do
    if tonumber(bucket) <= newest - window then redis.call('HDEL', outflow, bucket) end
  end
end
local i = 6
while i <= #ARGV do
  if ARGV[i] == 'S' then
    redis.call('HSET', status, ARGV[i + 1], ARGV[i + 2])
    i = i + 3
  elseif ARGV[i] == 'A' then
    redis.call('HINCRBY', outflow, ARGV[i + 1], ARGV[i + 2])
    redis.call('HSET', status, 'serving_number', ARGV[i + 3])
    forget_old_buckets(tonumber(ARGV[i + 4]))
    i = i + 5
  else
    local lobby = redis.call('HGET', status, 'n:L') or '0'
    redis.call('HINCRBY', status, 'n:W', lobby)
    redis.call('HSET', status, 'drawn', '1', 'n:L', '0')
    i = i + 1
  end
end
redis.call('HSET', status, 'position', ARGV[2], 'place', ARGV[3])
return 'OK'
