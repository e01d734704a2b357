-- The entries of a domain that can be used. ARGV: settle, the domain's tag by each key.
local found = {}
for at = 2, #ARGV do
  local entries = redis.call('HGETALL', key('cached:', ARGV[at]))
  for place = 1, #entries, 2 do
    local r = parse(entries[place], entries[place + 1])
    if r.incarnation == incarnation and r.expires > now then
      found[#found + 1] = r.name
      found[#found + 1] = r.raw
    end
  end
end
return answer('ok', found)
