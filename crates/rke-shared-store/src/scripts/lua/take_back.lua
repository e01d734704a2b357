-- Removes a record whose creation was not confirmed, and keeps a creation that is still on its way from adding it. ARGV: settle, name.
local r = live(ARGV[2])
if r then take_out(r) end
redis.call('SET', key('gone:', ARGV[2]), '1' .. string.rep('\0', 8), 'PX', 60000)
return answer('ok')
