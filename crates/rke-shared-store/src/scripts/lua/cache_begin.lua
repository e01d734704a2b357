-- Begins an exchange for a domain, unless another node has one under way. ARGV: settle, the domain's tag, a token, how long others wait for
-- it, in milliseconds.
local lock = key('exchange:', ARGV[2])
if redis.call('SET', lock, ARGV[3], 'NX', 'PX', ARGV[4]) then return answer('ok', forgotten(ARGV[2])) end
return answer('busy', math.max(redis.call('PTTL', lock), 0))
