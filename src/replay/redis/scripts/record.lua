-- The records of a bucket. KEYS: the bucket, records, ends, names.
local RECORDS, ENDS, NAMES = KEYS[2], KEYS[3], KEYS[4]
local name = ARGV[7]
local PRUNED_AT_ONCE = 4

-- Returns the value of a record that has not expired.
local function live(of)
  local packed = redis.call('HGET', RECORDS, of)
  if packed and struct.unpack('>I8', packed) >= now then
    return packed:sub(9)
  end
  return nil
end

local function remove(of)
  redis.call('HDEL', RECORDS, of)
  redis.call('ZREM', ENDS, of)
  return redis.call('ZREM', NAMES, of)
end

local function prune()
  for _, ended in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', '(' .. text(now), 'LIMIT', 0, PRUNED_AT_ONCE)) do
    remove(ended)
  end
end
