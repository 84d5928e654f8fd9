-- Notes that a use is no longer being served. ARGV: key, use id.
end_serving()
return { OK, 0, 0, 0 }
