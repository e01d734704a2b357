-- A key has been wiped at the other end. ARGV: settle, the record's name.
redis.call('UNLINK', key('farewell:', ARGV[2]))
redis.call('ZREM', farewells, ARGV[2])
return answer('ok')
