-- Takes the uses that are not the first of their payments.
local function set_apart(key, s)
  if s.released == 1 then
    note_released(key, s.last)
    return
  end
  local place = text(s.number) .. ':' .. key
  redis.call('HSET', USES, key .. s.last, struct.pack(USE, s.granted_at, s.remaining, s.number))
  redis.call('HSET', ORDER, place, s.last)
  redis.call('ZADD', YOUNG, text(s.granted_at), place)
end

-- Forgets the use that one more use pushes out of those that are remembered.
local function forget_pushed_out(key, number)
  forget_use(key, number - MAX_REMEMBERED - 1)
  local old = number - KEPT - 1
  local use = old > 0 and redis.call('HGET', ORDER, text(old) .. ':' .. key)
  local packed = use and redis.call('HGET', USES, key .. use)
  if packed and is_forgotten((struct.unpack(USE, packed))) then
    forget_use(key, old)
  end
end

local function is_pruned(retain)
  return meta[3] and retain <= meta[3]
end

local function take(key, first, ending, serving)
  local new, state = unpacked(first), read(key)
  local id, uses = new.last, new.taken + new.remaining
  local is_new, answer, remaining, is_change = not state, SPENT, 0, false
  local released = redis.call('ZSCORE', RELEASED, key .. id)
  if not state then
    if not released and not is_pruned(new.retain) then
      answer, remaining, is_change = GRANTED, new.remaining, true
      state = new
    end
  else
    local known = find(key, id, state)
    if known then
      if not known.released then
        answer, remaining = GRANTED, known.remaining
      end
    elseif state.taken < uses and not released then
      if fullness == STILL_FULL then
        return FULL, 0
      end
      set_apart(key, state)
      answer, remaining, is_change = GRANTED, uses - state.taken - 1, true
      state.taken, state.number = state.taken + 1, state.number + 1
      forget_pushed_out(key, state.number)
      state.restores, state.granted_at, state.remaining, state.released, state.last = new.restores, now, remaining, 0, id
    end
  end
  local is_longer = state and (is_new or new.retain > state.retain)
  local begins = answer == GRANTED and serving ~= ''
  if fullness == STILL_FULL and (is_change or is_longer or begins) then
    return FULL, 0
  end
  if is_longer then
    state.retain, is_change = new.retain, true
    note_end(ending, { key })
  end
  if is_change then
    write(key, state)
    changed = true
  end
  if serving ~= '' then
    local kept = served_without(key, id)
    if not begins and #kept > 0 then
      answer = IN_USE
    elseif begins and #kept < MAX_SERVING then
      kept[#kept + 1] = serving
      redis.call('HSET', SERVING, key, table.concat(kept))
    end
  end
  return answer, remaining
end

if fullness ~= STILL_FULL then
  prune()
end
for _, use in ipairs(others) do
  local at = FIRST + (use - 1) * EACH
  answer[2 + 2 * use], answer[3 + 2 * use] = take(unpack(ARGV, at, at + 3))
end
if changed then
  answer[3] = commit()
end
return answer
