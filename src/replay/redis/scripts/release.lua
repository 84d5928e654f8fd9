-- Ends uses. ARGV for each: the payment's key, the use id, and how: 0 gives it back, 1 gives it back because it failed, and 2
-- notes that it is no longer being served.

local function end_serving(key, id)
  local kept, list = served_without(key, id)
  if #kept > 0 then
    redis.call('HSET', SERVING, key, table.concat(kept))
  elseif list ~= '' then
    redis.call('HDEL', SERVING, key)
  end
end

local function give_back(key, id, failed)
  local state = read(key)
  local known = state and find(key, id, state)
  if not known then
    note_released(key, id)
    changed = true
    return
  end
  if known.released then
    return
  end
  if state.last == id then
    state.released = 1
  else
    forget_use(key, known.number)
    note_released(key, id)
  end
  if not failed then
    state.taken = state.taken - 1
  elseif state.restored < state.restores then
    state.taken, state.restored = state.taken - 1, state.restored + 1
  end
  write(key, state)
  changed = true
end

prune()
for at = FIRST, #ARGV, EACH do
  local key, id, how = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  end_serving(key, id)
  if how ~= '2' then
    give_back(key, id, how == '1')
  end
end
return { OK, 0, changed and commit() or 0 }
