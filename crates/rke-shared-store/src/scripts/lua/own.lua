-- Counts a key on its owner, or notes that it was used. Returns the owner's keys that have to go, those that were unused for longest first.
-- ARGV: settle, how long it lives, in milliseconds, how many the owner may have, the number of keys of the store, then by each of them the
-- owner's tag and the key's place (partition and name).
local lives, most, of_keys = tonumber(ARGV[2]), math.max(tonumber(ARGV[3]), 1), tonumber(ARGV[4])
local uses, ends, place = key('owned:', ARGV[5]), key('owned-ends:', ARGV[5]), ARGV[6]

-- What was counted by an older key counts by the first.
for at = 7, 4 + 2 * of_keys, 2 do
  local older = { key('owned:', ARGV[at]), key('owned-ends:', ARGV[at]) }
  for which, set in ipairs({ uses, ends }) do
    redis.call('ZREM', older[which], ARGV[at + 1])
    redis.call('ZREM', set, ARGV[at + 1])
    if redis.call('EXISTS', older[which]) == 1 then redis.call('ZUNIONSTORE', set, 2, set, older[which], 'AGGREGATE', 'MAX') end
    redis.call('DEL', older[which])
  end
end

for _, over in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now)) do redis.call('ZREM', uses, over) end
redis.call('ZREMRANGEBYSCORE', ends, '-inf', now)

-- Two uses in the same millisecond keep their order.
local last = redis.call('ZRANGE', uses, -1, -1, 'WITHSCORES')
local score = math.max(now, last[2] and tonumber(last[2]) + 1 or 0)
redis.call('ZADD', uses, score, place)
redis.call('ZADD', ends, now + lives, place)

-- They are counted until they are deleted.
local gone = {}
local over = redis.call('ZCARD', uses) - most
if over > 0 then gone = redis.call('ZRANGE', uses, 0, over - 1) end
local latest = redis.call('ZRANGE', ends, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', uses, latest[2])
redis.call('PEXPIREAT', ends, latest[2])
return answer('ok', gone)
