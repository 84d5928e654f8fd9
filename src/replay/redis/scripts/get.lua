-- Returns a record. ARGV: name.
local value = live(name)
return { OK, value and 1 or 0, 0, value or '' }
