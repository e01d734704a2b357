-- Counts a key on its owner, or notes that it was used. Returns the owner's keys that have to go, those that were unused for longest first.
-- ARGV: settle, the owner's tag, the key's place (partition and name), how long it lives, in milliseconds, how many the owner may have.
local uses, ends, place = key('owned:', ARGV[2]), key('owned-ends:', ARGV[2]), ARGV[3]
for _, over in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now)) do redis.call('ZREM', uses, over) end
redis.call('ZREMRANGEBYSCORE', ends, '-inf', now)

-- Two uses in the same millisecond keep their order.
local last = redis.call('ZRANGE', uses, -1, -1, 'WITHSCORES')
local score = math.max(now, last[2] and tonumber(last[2]) + 1 or 0)
redis.call('ZADD', uses, score, place)
redis.call('ZADD', ends, now + ARGV[4], place)

local gone = {}
while redis.call('ZCARD', uses) > math.max(tonumber(ARGV[5]), 1) do
  local first = redis.call('ZRANGE', uses, 0, 0)[1]
  redis.call('ZREM', uses, first)
  redis.call('ZREM', ends, first)
  gone[#gone + 1] = first
end
local latest = redis.call('ZRANGE', ends, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', uses, latest[2])
redis.call('PEXPIREAT', ends, latest[2])
return answer('ok', gone)
