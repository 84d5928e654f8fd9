-- Returns the id of a bucket ('' if it is not there) and whether it has lost something. KEYS: the bucket.
local known = redis.call('HMGET', KEYS[1], 'id', 'lost')
return { known[1] or '', known[2] and 1 or 0 }
