-- Gives a use back. ARGV: key, use id, 1 if the use failed.
local failed = ARGV[8] == '1'

prune()
end_serving()
local state = read(key)
local known = state and find(state)
if not known then
  note_released(id)
  return { OK, 0, 0, commit() }
end
if known.released then
  return { OK, 0, 0, 0 }
end
if state.last == id then
  state.released = 1
else
  forget_use(key, known.number)
  note_released(id)
end
if not failed then
  state.taken = state.taken - 1
elseif state.restored < state.restores then
  state.taken, state.restored = state.taken - 1, state.restored + 1
end
write(state)
return { OK, 0, 0, commit() }
