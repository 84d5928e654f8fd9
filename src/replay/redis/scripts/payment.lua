-- What is done with the state of payments.
local STATE, USE = '>I8I4I4I4I4I8I4Bc16', '>I8I4I4'
local REMEMBERED, KEPT, MAX_REMEMBERED, MAX_RELEASED = 600, 4, 1024, 16 * RING
local PRUNED_AT_LEAST, MEMBERS_AT_ONCE, MAX_SERVING, SERVED = 64, 8, 64, 24

local function unpacked(packed)
  if not packed then
    return nil
  end
  local s = {}
  s.retain, s.taken, s.restored, s.restores, s.number, s.granted_at, s.remaining, s.released, s.last = struct.unpack(STATE, packed)
  return s
end

local function read(key)
  return unpacked(redis.call('HGET', PAYMENTS, key))
end

local function write(key, s)
  redis.call('HSET', PAYMENTS, key,
    struct.pack(STATE, s.retain, s.taken, s.restored, s.restores, s.number, s.granted_at, s.remaining, s.released, s.last))
end

local function is_forgotten(at)
  return math.abs(now - at) > REMEMBERED
end

-- Remembers that a use ended although nothing else is known of it.
local function note_released(key, use)
  redis.call('ZADD', RELEASED, text(now), key .. use)
  redis.call('ZREMRANGEBYRANK', RELEASED, 0, -1 - MAX_RELEASED)
end

local function forget_use(key, number)
  local place = text(number) .. ':' .. key
  local use = redis.call('HGET', ORDER, place)
  if use then
    redis.call('HDEL', ORDER, place)
    redis.call('HDEL', USES, key .. use)
    redis.call('ZREM', YOUNG, place)
  end
end

-- Forgets those payments of a member of the ends that have expired, until so much is done. The others were prolonged, so
-- another member with a later end has them too. Returns how much was done.
local function forget_ended(member, ending, most)
  local keys, at, work = {}, 1, 0
  while at <= #member and work < most do
    local size = member:byte(at)
    local key = member:sub(at, at + size)
    local s = read(key)
    if s and s.retain < now then
      for use = math.max(1, s.number - MAX_REMEMBERED - 1), s.number - 1 do
        forget_use(key, use)
      end
      keys[#keys + 1], work = key, work + s.number
      meta[3] = math.max(meta[3] or 0, s.retain)
    end
    at, work = at + 1 + size, work + 1
  end
  if #keys > 0 then
    redis.call('HDEL', PAYMENTS, unpack(keys))
    redis.call('HDEL', SERVING, unpack(keys))
    redis.call('HSET', META, 'pruned', text(meta[3]))
  end
  redis.call('ZREM', ENDS, member)
  if at <= #member then
    redis.call('ZADD', ENDS, 'GT', ending, member:sub(at))
  end
  return work
end

local function prune_payments(most)
  local work, members = 0, nil
  repeat
    members = redis.call('ZRANGEBYSCORE', ENDS, '-inf', '(' .. text(now), 'WITHSCORES', 'LIMIT', 0, MEMBERS_AT_ONCE)
    for i = 1, #members, 2 do
      if work < most then
        work = work + forget_ended(members[i], members[i + 1], most - work)
      end
    end
  until work >= most or #members < 2 * MEMBERS_AT_ONCE
end

-- Forgets some expired things: more than calls can add, and few, so that no call pays for many.
local function prune()
  if fullness ~= NOW_FULL and not is_turn_to_prune(count) then
    return
  end
  local most = math.max(PRUNED_AT_LEAST, 4 * count)
  prune_payments(most)
  local past = '(' .. text(now - REMEMBERED)
  for _, place in ipairs(redis.call('ZRANGEBYSCORE', YOUNG, '-inf', past, 'LIMIT', 0, most)) do
    local number, key = string.match(place, '^(%d+):(.*)$')
    local s = read(key)
    if s and tonumber(number) >= s.number - KEPT then
      redis.call('ZREM', YOUNG, place)
    else
      forget_use(key, tonumber(number))
    end
  end
  -- A server whose memory is full lets a script write on if its first write takes no memory. So nothing is removed in vain.
  for _, range in ipairs({ { '-inf', past }, { '(' .. text(now + REMEMBERED), '+inf' } }) do
    if redis.call('ZCOUNT', RELEASED, range[1], range[2]) > 0 then
      redis.call('ZREMRANGEBYSCORE', RELEASED, range[1], range[2])
    end
  end
end

-- Returns what is known of a use of a payment: a table, or nil.
local function find(key, id, s)
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
local function served_without(key, id)
  local kept, list = {}, redis.call('HGET', SERVING, key) or ''
  for at = 1, #list, SERVED do
    local use = list:sub(at, at + SERVED - 1)
    if use:sub(1, 16) ~= id and struct.unpack('>I8', use:sub(17)) >= now then
      kept[#kept + 1] = use
    end
  end
  return kept, list
end
