-- Removes the entries of a domain, one of them, or all, and keeps exchanges that are under way from adding any. Returns what it has
-- removed, and the keys that have sealed something: a node without one of them cannot name the domain by it. ARGV: settle, a name or nothing, the domain's tag by each key (none for all domains).
local removed = {}

if #ARGV == 2 then
  redis.call('HINCRBY', state, 'forgotten', 1)
  for _, member in ipairs(redis.call('ZRANGE', key('cached'), 0, -1)) do uncache(member, removed) end
end
for at = 3, #ARGV do
  if ARGV[2] == '' then
    -- Longer than any exchange takes.
    redis.call('INCR', key('forgotten:', ARGV[at]))
    redis.call('PEXPIRE', key('forgotten:', ARGV[at]), 3600000)
  end
  for _, name in ipairs(redis.call('HKEYS', key('cached:', ARGV[at]))) do
    if ARGV[2] == '' or ARGV[2] == name then uncache(ARGV[at] .. name, removed) end
  end
end
if #removed > 0 then changed() end
return answer('ok', removed, redis.call('ZRANGEBYSCORE', key('seals'), now, '+inf'))
