-- The start of every script on a bucket. It compares what the caller was answered before with what is here: ARGV 2 and 3
-- are the number and the mark of the newest change that it knows. After the mark come the number and the mark of each other.
-- ARGV 4 to 6 are a new mark, now, and how many marks the bucket keeps.
local META = KEYS[1]
local store_id, floor, floor_mark, mark, now, RING = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local OK, GONE, LOST = 0, 1, 2

local function text(number)
  return string.format('%.0f', number)
end

local function mark_of(number)
  return 'mark' .. text(number % RING)
end

local meta = redis.call('HMGET', META, 'id', 'written', 'pruned', 'lost', mark_of(floor))
if meta[1] ~= store_id then
  return { GONE }
end
local written = tonumber(meta[2])
meta[3] = meta[3] and tonumber(meta[3])
local in_ring = floor > 0 and floor > written - RING
local has_lost = meta[4] or floor > written or (in_ring and meta[5] ~= floor_mark:sub(1, 8))
for at = 9, #floor_mark, 16 do
  local number, its_mark = struct.unpack('>I8c8', floor_mark, at)
  local is_known = number > written - RING
  has_lost = has_lost or number > written or (is_known and redis.call('HGET', META, mark_of(number)) ~= its_mark)
end
if has_lost then
  redis.pcall('HSET', META, 'lost', '1')
  return { LOST }
end

-- Whether this call removes what has expired: of n uses with a chance of n in 16. The mark is random.
local function is_turn_to_prune(changes)
  return mark:byte(8) % 16 < changes
end

-- Counts the changes that the caller is about to be answered.
local function commit()
  written = written + 1
  redis.call('HSET', META, 'written', text(written), mark_of(written), mark)
  return written
end
