-- Writes a record if its key is absent. ARGV: name, end, value.
local ending = tonumber(ARGV[8])

prune()
if live(name) then
  return { OK, 0, 0 }
end
if ending < now then
  remove(name)
  return { OK, 1, 0 }
end
redis.call('HSET', RECORDS, name, struct.pack('>I8', ending) .. ARGV[9])
redis.call('ZADD', ENDS, text(ending), name)
redis.call('ZADD', NAMES, 0, name)
return { OK, 1, commit() }
