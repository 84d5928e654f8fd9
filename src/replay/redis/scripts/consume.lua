-- Takes one use of a payment. ARGV: key, use id, uses, restores, retain_until, deadline of serving (0 for none), and 1 if
-- memory was full a moment ago.
local uses, restores, retain, deadline = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local SPENT, GRANTED, IN_USE = 0, 1, 2

local function set_apart(s)
  if s.released == 1 then
    note_released(s.last)
    return
  end
  local place = text(s.number) .. ':' .. key
  redis.call('HSET', USES, key .. s.last, struct.pack(USE, s.granted_at, s.remaining, s.number))
  redis.call('HSET', ORDER, place, s.last)
  redis.call('ZADD', YOUNG, text(s.granted_at), place)
end

-- Forgets the use that one more use pushes out of those that are remembered.
local function forget_pushed_out(number)
  forget_use(key, number - MAX_REMEMBERED - 1)
  local old = number - KEPT - 1
  local use = old > 0 and redis.call('HGET', ORDER, text(old) .. ':' .. key)
  local packed = use and redis.call('HGET', USES, key .. use)
  if packed and is_forgotten((struct.unpack(USE, packed))) then
    forget_use(key, old)
  end
end

prune(ARGV[12] == '1')
local answer, remaining, changed = SPENT, 0, false
local released = redis.call('ZSCORE', RELEASED, key .. id)
local state = read(key)
if not state then
  if not released and not (meta[3] and retain <= tonumber(meta[3])) then
    answer, remaining, changed = GRANTED, uses - 1, true
    state = { retain = retain, taken = 1, restored = 0, number = 1 }
  end
else
  local known = find(state)
  if known then
    if not known.released then
      answer, remaining = GRANTED, known.remaining
    end
  elseif state.taken < uses and not released then
    set_apart(state)
    answer, remaining, changed = GRANTED, uses - state.taken - 1, true
    state.taken, state.number = state.taken + 1, state.number + 1
    forget_pushed_out(state.number)
  end
end
if changed then
  state.restores, state.granted_at, state.remaining, state.released, state.last = restores, now, remaining, 0, id
end
if state and (changed or retain > state.retain) then
  state.retain = math.max(state.retain, retain)
  write(state)
  redis.call('ZADD', ENDS, text(state.retain), key)
  changed = true
end
if deadline > 0 then
  if answer == GRANTED then
    begin_serving(deadline)
  elseif #served_without_this() > 0 then
    answer = IN_USE
  end
end
return { OK, answer, remaining, changed and commit() or 0 }
