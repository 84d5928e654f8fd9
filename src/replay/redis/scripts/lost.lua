-- Marks a bucket of a store that has lost something. KEYS: the bucket. ARGV: the store's id.
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'lost', '1')
end
return 1
