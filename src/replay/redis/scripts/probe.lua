-- Writes what is there already: nothing changes, but a server that takes no writes shows it.
redis.call('HSET', META, 'written', text(written))
return { OK, 0, 0 }
