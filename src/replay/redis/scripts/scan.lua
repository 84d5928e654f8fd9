-- Returns some records from a name on. ARGV: the first name (after "[" or "("), the end ("+" or a name after "("), how many.
local found = { OK, 0, 0 }
local names = redis.call('ZRANGEBYLEX', NAMES, ARGV[7], ARGV[8], 'LIMIT', 0, ARGV[9])
for _, of in ipairs(names) do
  found[#found + 1] = of
  found[#found + 1] = live(of) or false
end
found[2] = #names
return found
