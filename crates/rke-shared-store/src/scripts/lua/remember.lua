-- Remembers a first packet, so that no instance accepts it twice. ARGV: settle, the packet's name, how long it is remembered, in milliseconds,
-- the most packets of all, the most of an owner, the owners' tags.
local replays, packet, until_then = key('replays'), ARGV[2], now + ARGV[3]
local seen = redis.call('ZSCORE', replays, packet)
if seen and tonumber(seen) > now then return answer('replayed') end

local function has_room(set, most)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
  return redis.call('ZCARD', set) < tonumber(most)
end

-- A memory that is full refuses. It never forgets early, and no owner fills it alone.
if not has_room(replays, ARGV[4]) then return answer('full') end
for at = 6, #ARGV do
  if not has_room(key('replays:', ARGV[at]), ARGV[5]) then return answer('full') end
end
redis.call('ZADD', replays, until_then, packet)
for at = 6, #ARGV do
  local own = key('replays:', ARGV[at])
  redis.call('ZADD', own, until_then, packet)
  local last = redis.call('ZRANGE', own, -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', own, last[2])
end
return answer('ok')
