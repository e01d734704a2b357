-- Removes records that nobody can use: those that have expired, those of an earlier generation or incarnation. A few at a time.
-- Returns whether more are left, when the next one expires, and the deletions at other ends that no node has finished in time. ARGV: settle, how many.
local most = tonumber(ARGV[2])

for _, name in ipairs(redis.call('ZRANGE', drain, 0, most - 1)) do
  local raw = redis.call('GET', key('record:', name))
  if raw then
    ended[#ended + 1] = name
    ended[#ended + 1] = take_out(parse(name, raw))
  end
  redis.call('ZREM', drain, name)
end

-- Looks for the records of domains that were deleted. The scan returns each record that was there from its beginning to its end,
-- so afterwards no record is left that is older than the beginning, and the generations of domains up to it say nothing any longer.
local function scan()
  if redis.call('HLEN', domains) == 0 then return end
  local place = redis.call('HMGET', state, 'cursor', 'scanned')
  local cursor, scanned = place[1] or '0', tonumber(place[2]) or generation
  local found = redis.call('ZSCAN', index, cursor, 'COUNT', most)
  for at = 1, #found[2], 2 do
    local name = found[2][at]
    local raw = redis.call('GET', key('record:', name))
    if raw and not live(name) then
      ended[#ended + 1] = name
      ended[#ended + 1] = take_out(parse(name, raw))
    end
  end
  if found[1] ~= '0' then
    redis.call('HSET', state, 'cursor', found[1], 'scanned', scanned)
    return
  end
  redis.call('HDEL', state, 'cursor', 'scanned')
  local since = redis.call('HGETALL', domains)
  for at = 1, #since, 2 do
    if tonumber(since[at + 1]) <= scanned then redis.call('HDEL', domains, since[at]) end
  end
end

scan()
prune(most)
local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
local due = redis.call('EXISTS', drain) + redis.call('HLEN', domains)
if first[2] and tonumber(first[2]) <= now then due = due + 1 end
local overdue = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', farewells, '-inf', now, 'LIMIT', 0, most)) do
  local raw = redis.call('GET', key('farewell:', name))
  if raw then
    overdue[#overdue + 1] = name
    overdue[#overdue + 1] = raw
    redis.call('ZADD', farewells, now + LEASE, name)
  else
    redis.call('ZREM', farewells, name)
  end
end
return answer('ok', due, first[2] and tonumber(first[2]) or 0, overdue)
