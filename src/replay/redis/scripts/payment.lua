-- The state of payments. KEYS: the bucket, payments, ends, uses, order, young, released, serving.
local PAYMENTS, ENDS, USES, ORDER = KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local YOUNG, RELEASED, SERVING = KEYS[6], KEYS[7], KEYS[8]
local key, id = ARGV[6], ARGV[7]
local USE = '>I8I4I4'
local REMEMBERED, KEPT, MAX_REMEMBERED, MAX_RELEASED = 600, 4, 1024, 1024
local PRUNED_AT_ONCE, MANY, MAX_SERVING, SERVED = 64, 64, 64, 24

local function read(name)
  local packed = redis.call('HGET', PAYMENTS, name)
  if not packed then
    return nil
  end
  local s = {}
  s.retain, s.taken, s.restored, s.restores, s.number, s.granted_at, s.remaining, s.released, s.last = struct.unpack(STATE, packed)
  return s
end

local function write(s)
  redis.call('HSET', PAYMENTS, key,
    struct.pack(STATE, s.retain, s.taken, s.restored, s.restores, s.number, s.granted_at, s.remaining, s.released, s.last))
end

local function is_forgotten(at)
  return math.abs(now - at) > REMEMBERED
end

-- Remembers that a use ended although nothing else is known of it.
local function note_released(use)
  redis.call('ZADD', RELEASED, text(now), key .. use)
  redis.call('ZREMRANGEBYRANK', RELEASED, 0, -1 - MAX_RELEASED)
end

local function forget_use(name, number)
  local place = text(number) .. ':' .. name
  local use = redis.call('HGET', ORDER, place)
  if use then
    redis.call('HDEL', ORDER, place)
    redis.call('HDEL', USES, name .. use)
    redis.call('ZREM', YOUNG, place)
  end
end

local function forget_payment(name)
  local s = read(name)
  redis.call('HDEL', PAYMENTS, name)
  redis.call('HDEL', SERVING, name)
  redis.call('ZREM', ENDS, name)
  local number = s and s.number or 1
  for earlier = math.max(1, number - MAX_REMEMBERED - 1), number - 1 do
    forget_use(name, earlier)
  end
  return number
end

-- Forgets some expired things: more than sixteen calls can add, and few, so that no call pays for many.
local function prune(is_full)
  if not is_full and not is_turn_to_prune() then
    return
  end
  local ended = redis.call('ZRANGEBYSCORE', ENDS, '-inf', '(' .. text(now), 'WITHSCORES', 'LIMIT', 0, PRUNED_AT_ONCE)
  for i = 1, #ended, 2 do
    local number = forget_payment(ended[i])
    if not meta[3] or tonumber(meta[3]) < tonumber(ended[i + 1]) then
      meta[3] = ended[i + 1]
      redis.call('HSET', META, 'pruned', meta[3])
    end
    if number > MANY then
      break
    end
  end
  local past = '(' .. text(now - REMEMBERED)
  for _, place in ipairs(redis.call('ZRANGEBYSCORE', YOUNG, '-inf', past, 'LIMIT', 0, PRUNED_AT_ONCE)) do
    local number, name = string.match(place, '^(%d+):(.*)$')
    local s = read(name)
    if s and tonumber(number) >= s.number - KEPT then
      redis.call('ZREM', YOUNG, place)
    else
      forget_use(name, tonumber(number))
    end
  end
  -- A server whose memory is full lets a script write on if its first write takes no memory. So nothing is removed in vain.
  for _, range in ipairs({ { '-inf', past }, { '(' .. text(now + REMEMBERED), '+inf' } }) do
    if redis.call('ZCOUNT', RELEASED, range[1], range[2]) > 0 then
      redis.call('ZREMRANGEBYSCORE', RELEASED, range[1], range[2])
    end
  end
end

-- Returns what is known of a use of this payment: a table, or nil.
local function find(s)
  if s.last == id then
    return { granted_at = s.granted_at, remaining = s.remaining, released = s.released == 1 }
  end
  local packed = redis.call('HGET', USES, key .. id)
  if not packed then
    return nil
  end
  local use = { released = false }
  use.granted_at, use.remaining, use.number = struct.unpack(USE, packed)
  return use
end

-- Returns the uses that are being served, without this one and without those that are over.
local function served_without_this()
  local kept, list = {}, redis.call('HGET', SERVING, key) or ''
  for at = 1, #list, SERVED do
    local use = list:sub(at, at + SERVED - 1)
    if use:sub(1, 16) ~= id and struct.unpack('>I8', use:sub(17)) >= now then
      kept[#kept + 1] = use
    end
  end
  return kept, list
end

local function begin_serving(deadline)
  local kept = served_without_this()
  if #kept < MAX_SERVING then
    kept[#kept + 1] = id .. struct.pack('>I8', deadline)
    redis.call('HSET', SERVING, key, table.concat(kept))
  end
end

local function end_serving()
  local kept, list = served_without_this()
  if #kept > 0 then
    redis.call('HSET', SERVING, key, table.concat(kept))
  elseif list ~= '' then
    redis.call('HDEL', SERVING, key)
  end
end
