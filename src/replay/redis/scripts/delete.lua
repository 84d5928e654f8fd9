-- Removes a record. ARGV: name.
prune()
local removed = remove(name)
return { OK, removed, removed > 0 and commit() or 0 }
