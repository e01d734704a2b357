-- Gives a hold back, with what its block has left. ARGV: settle, node, name, messages, bytes.
local r = live(ARGV[3])
if not r then return answer('absent') end
local messages, bytes = math.max(r.messages - ARGV[4], 0), math.max(r.bytes - ARGV[5], 0)
redis.call('SETRANGE', key('record:', r.name), 77, struct.pack('>I8I8', messages, bytes))
redis.call('HDEL', key('holders:', r.name), ARGV[2])
return answer('ok')
