-- Makes a bucket, or takes over one that nothing was written to. KEYS: the bucket. ARGV: the store's id.
local known = redis.call('HMGET', KEYS[1], 'id', 'written')
if known[1] == ARGV[1] then
  return 1
end
if known[1] and known[2] ~= '0' then
  return 0
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'written', '0')
return 1
