-- Begins to make a store, or reads it. KEYS: the store. ARGV: a new id, now ('' if the clock was never set), the id of a store
-- that is being made for too long ('' for none), and 1 if the payments of a new store are together. Returns whether it is
-- ready, its id, when it was made, the number of the attempt to make it, and whether its payments are together.
local known = redis.call('HMGET', KEYS[1], 'id', 'ready', 'attempt')
if not known[1] or (not known[2] and known[1] == ARGV[3]) then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'attempt', (known[3] or 0) + 1, 'together', ARGV[4])
end
if ARGV[2] ~= '' then
  redis.call('HSETNX', KEYS[1], 'created_at', ARGV[2])
end
local now = redis.call('HMGET', KEYS[1], 'ready', 'id', 'created_at', 'attempt', 'together')
return { now[1] and 1 or 0, now[2], now[3] or '', tonumber(now[4]), tonumber(now[5]) }
