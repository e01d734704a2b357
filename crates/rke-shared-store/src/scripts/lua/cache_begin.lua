-- Begins an exchange for a domain, unless another node has one under way. ARGV: settle, the domain's tag, a token, how long others wait for
-- it, in milliseconds.
local lock = key('exchange:', ARGV[2])
local generation = (redis.call('HGET', state, 'forgotten') or '0') .. '.' .. (redis.call('GET', key('forgotten:', ARGV[2])) or '0')
if redis.call('SET', lock, ARGV[3], 'NX', 'PX', ARGV[4]) then return answer('ok', generation) end
return answer('busy', math.max(redis.call('PTTL', lock), 0))
