-- The first use of a payment, which most uses are, ahead of all that only other uses need: a function that is not made
-- takes no time. It answers what `consume.lua` would.
if ARGV[12] == '0' and not is_turn_to_prune() and not redis.call('ZSCORE', KEYS[7], ARGV[6] .. ARGV[7]) then
  local key, id, left, retain = ARGV[6], ARGV[7], tonumber(ARGV[8]) - 1, tonumber(ARGV[10])
  local state = struct.pack(STATE, retain, 1, 0, ARGV[9], 1, now, left, 0, id)
  if not (meta[3] and retain <= tonumber(meta[3])) and redis.call('HSETNX', KEYS[2], key, state) == 1 then
    redis.call('ZADD', KEYS[3], text(retain), key)
    if ARGV[11] ~= '0' then
      redis.call('HSET', KEYS[8], key, id .. struct.pack('>I8', ARGV[11]))
    end
    return { OK, 1, left, commit() }
  end
end
