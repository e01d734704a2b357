-- Gives back what a block has left. The node stays among the holders until its hold is over: it may have fetched the record again since,
-- and a deletion must reach it then. A connection to a cluster may send it twice. ARGV: settle, name, messages, bytes, operation.
local r = live(ARGV[2])
if not r then return answer('absent') end
if not redis.call('SET', key('released:', ARGV[5]), '', 'NX', 'PX', 10000) then return answer('ok') end
local messages, bytes = math.max(r.messages - ARGV[3], 0), math.max(r.bytes - ARGV[4], 0)
redis.call('SETRANGE', key('record:', r.name), 77, struct.pack('>I8I8', messages, bytes))
return answer('ok')
