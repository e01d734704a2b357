-- All entries that can be used, those that end first first, without secrets. ARGV: settle.
local found = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', key('cached'), '(' .. now, '+inf')) do
  local name = string.sub(member, 9)
  local raw = redis.call('HGET', key('cached:', string.sub(member, 1, 8)), name)
  local r = raw and parse(name, raw)
  if r and r.incarnation == incarnation then
    found[#found + 1] = name
    found[#found + 1] = without_secret(r)
  end
end
return answer('ok', found)
