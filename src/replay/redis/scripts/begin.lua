-- Makes a bucket, or takes over one that an earlier attempt to make the store left behind. KEYS: the bucket. ARGV: the store's
-- id, and the number of the attempt. Returns 2 if another process has begun a later attempt, and 0 if the bucket was used.
local known = redis.call('HMGET', KEYS[1], 'id', 'written', 'attempt')
if known[1] == ARGV[1] then
  return 1
end
if known[1] and known[2] ~= '0' then
  return 0
end
if known[1] and tonumber(known[3]) >= tonumber(ARGV[2]) then
  return 2
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'written', '0', 'attempt', ARGV[2])
return 1
