-- The start of every script on a bucket. It compares what the caller was answered before with what is here: ARGV 2 and 3
-- are the number and the mark of the newest change that it knows. After the mark come the number and the mark of each other.
local META = KEYS[1]
local store_id, floor, floor_mark, mark, now = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local OK, GONE, LOST = 0, 1, 2
local RING = 64

local STATE = '>I8I4I4I4I4I8I4Bc16'

local function text(number)
  return string.format('%.0f', number)
end

local meta = redis.call('HMGET', META, 'id', 'written', 'pruned', 'lost', 'mark' .. floor % RING)
if meta[1] ~= store_id then
  return { GONE }
end
local written = tonumber(meta[2])
local in_ring = floor > 0 and floor > written - RING
local has_lost = meta[4] or floor > written or (in_ring and meta[5] ~= floor_mark:sub(1, 8))
for at = 9, #floor_mark, 16 do
  local number, its_mark = struct.unpack('>I8c8', floor_mark, at)
  local is_known = number > written - RING
  has_lost = has_lost or number > written or (is_known and redis.call('HGET', META, 'mark' .. number % RING) ~= its_mark)
end
if has_lost then
  redis.pcall('HSET', META, 'lost', '1')
  return { LOST }
end

-- One call in sixteen removes what has expired. The mark is random.
local function is_turn_to_prune()
  return mark:byte(8) % 16 == 0
end

-- Counts a change that the caller is about to be answered.
local function commit()
  written = written + 1
  redis.call('HSET', META, 'written', text(written), 'mark' .. written % RING, mark)
  return written
end
