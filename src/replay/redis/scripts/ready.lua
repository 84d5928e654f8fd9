-- Ends the making of a store. KEYS: the store. ARGV: its id. Returns 0 if another process has taken it over.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'ready', '1')
return 1
