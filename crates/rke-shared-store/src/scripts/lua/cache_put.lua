-- Keeps what an exchange has given, unless the domain was forgotten since the exchange began. Returns what had to make room.
-- ARGV: settle, the domain's tag, the generation at the beginning, name, record, the most entries.
local tag, r = ARGV[2], parse(ARGV[4], ARGV[5])
if forgotten(tag) ~= ARGV[3] then return answer('forgotten') end
if r.incarnation ~= incarnation or r.expires <= now then return answer('stale') end

local cached, removed = key('cached'), {}

for _, member in ipairs(redis.call('ZRANGEBYSCORE', cached, '-inf', now, 'LIMIT', 0, 64)) do uncache(member, removed) end
if redis.call('ZSCORE', cached, tag .. r.name) then uncache(tag .. r.name, removed) end
while redis.call('ZCARD', cached) >= tonumber(ARGV[6]) do
  local first = redis.call('ZRANGE', cached, 0, 0)[1]
  if not first then return answer('ok', removed) end
  uncache(first, removed)
end
redis.call('HSET', key('cached:', tag), r.name, r.raw)
redis.call('PEXPIREAT', key('cached:', tag), r.expires, 'GT')
if redis.call('PTTL', key('cached:', tag)) == -1 then redis.call('PEXPIREAT', key('cached:', tag), r.expires) end
redis.call('ZADD', cached, r.expires, tag .. r.name)
redis.call('ZADD', key('seals'), 'GT', r.expires, r.seal)
changed()
return answer('ok', removed)
