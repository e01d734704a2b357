-- Ends an exchange, whether it has stored something or not. ARGV: settle, the domain's tag, its token.
local lock = key('exchange:', ARGV[2])
if redis.call('GET', lock) == ARGV[3] then redis.call('DEL', lock) end
return answer('ok')
