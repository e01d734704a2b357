-- What is known about a domain's Content Server, and writes something new if that is what the node has read. Where nothing is found, the keys
-- under which something is known are returned: a node without one of them cannot say that nothing is. ARGV: settle, what the node has read
-- (empty for nothing), what to write (empty to write nothing), the domain's tag by each key: the first is written.
local found, keys = '', key('known-keys')
for at = 4, #ARGV do
  local known = redis.call('GET', key('known:', ARGV[at]))
  if known then
    found = known
    break
  end
end
local others = found == '' and redis.call('HVALS', keys) or {}
if ARGV[3] == '' then return answer('ok', found, others) end
if found ~= ARGV[2] then return answer('changed', found, others) end
for at = 5, #ARGV do
  redis.call('DEL', key('known:', ARGV[at]))
  redis.call('HDEL', keys, ARGV[at])
end
redis.call('SET', key('known:', ARGV[4]), ARGV[3])
redis.call('HSET', keys, ARGV[4], string.sub(ARGV[3], 1, 8))
return answer('ok', ARGV[3], others)
