-- Ends all records, or those of a domain, by a generation that each script compares. Returns how many there were,
-- the nodes that may hold one, and the keys that have sealed some: a node without one of them cannot name the domain by it.
-- ARGV: settle, the domain's tags.
generation = generation + 1
redis.call('HSET', state, 'generation', generation)
local count = 0
if #ARGV == 1 then
  count = redis.call('ZCOUNT', index, '(' .. now, '+inf')
  redis.call('HSET', state, 'all', generation)
  redis.call('DEL', domains)
  abandon()
else
  for at = 2, #ARGV do redis.call('HSET', domains, ARGV[at], generation) end
end
changed()
local holding, nodes = {}, redis.call('HGETALL', key('nodes'))
for at = 1, #nodes, 2 do
  if tonumber(nodes[at + 1]) > now then
    holding[#holding + 1] = nodes[at]
  else
    redis.call('HDEL', key('nodes'), nodes[at])
  end
end
return answer('ok', count, table.concat(holding), redis.call('ZRANGEBYSCORE', key('seals'), now, '+inf'))
