-- Takes the uses that are the first of their payments, which most are, all together. This is ahead of what only other uses
-- need, because a function that is not made takes no time. Returns an answer for each use, and what remains of the payment.
-- ARGV for each use:
--   the payment's key;
--   the state of the payment after this use, if the use is the first;
--   a moment at which the payment has ended;
--   the use id, and until when the use is being served ('' if nothing is known of that).
local SPENT, GRANTED, IN_USE, FULL = 0, 1, 2, 3
local answer, others = { OK, 0, 0 }, {}

-- Remembers when payments have ended: one member has the keys of all.
local function note_end(ending, keys)
  redis.call('ZADD', ENDS, ending, table.concat(keys))
end

local function take_first_uses()
  local keys, names, is_taken, states, endings, served = {}, {}, {}, {}, {}, {}
  local argv, pruned, new = ARGV, meta[3], 0
  for use = 1, count do
    keys[use] = argv[FIRST + (use - 1) * EACH]
  end
  local known, released = redis.call('HMGET', PAYMENTS, unpack(keys)), {}
  if redis.call('EXISTS', RELEASED) == 1 then
    for use, key in ipairs(keys) do
      names[use] = key .. argv[FIRST + (use - 1) * EACH + 1]:sub(-16)
    end
    released = redis.call('ZMSCORE', RELEASED, unpack(names))
  end
  for use, key in ipairs(keys) do
    local at = FIRST + (use - 1) * EACH
    local first, ending, serving = argv[at + 1], argv[at + 2], argv[at + 3]
    if known[use] or is_taken[key] or released[use] or (pruned and struct.unpack('>I8', first) <= pruned) then
      others[#others + 1] = use
    else
      is_taken[key] = true
      states[2 * new + 1], states[2 * new + 2], new = key, first, new + 1
      local ended = endings[ending]
      if ended then
        ended[#ended + 1] = key
      else
        endings[ending] = { key }
      end
      if serving ~= '' then
        served[#served + 1], served[#served + 2] = key, serving
      end
      answer[2 + 2 * use], answer[3 + 2 * use] = GRANTED, struct.unpack('>I4', first, 33)
    end
  end
  if new > 0 then
    redis.call('HSET', PAYMENTS, unpack(states))
    for ending, ended in pairs(endings) do
      note_end(ending, ended)
    end
    changed = true
  end
  if #served > 0 then
    redis.call('HSET', SERVING, unpack(served))
  end
end

if fullness ~= NOT_FULL then
  for use = 1, count do
    others[use] = use
  end
else
  take_first_uses()
end
if #others == 0 and not is_turn_to_prune(count) then
  answer[3] = commit()
  return answer
end
