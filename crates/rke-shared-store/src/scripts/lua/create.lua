-- Adds a record, if the partition has room. ARGV: settle, name, record, limit, grace, tolerance.
local name, r, limit, grace, tolerance = ARGV[2], parse(ARGV[2], ARGV[3]), tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])

-- It was sealed for another primary or by a wrong idea of the time. The answer has the right ones.
if r.incarnation ~= incarnation or math.abs(r.created - now) > tolerance then return answer('stale') end
-- Its node has given this creation up already.
if redis.call('EXISTS', key('gone:', name)) == 1 then return answer('gone') end

prune(16)
-- Counted exactly, also where more have expired than were pruned.
if redis.call('ZCOUNT', index, '(' .. now, '+inf') >= limit then
  local first = redis.call('ZRANGEBYSCORE', index, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  local wait = first[2] and first[2] - now or 0
  return answer('full', math.max(wait, 0), redis.call('HLEN', domains))
end

local raw = string.sub(r.raw, 1, 61) .. struct.pack('>I8', generation) .. string.sub(r.raw, 70)
if not redis.call('SET', key('record:', name), raw, 'PXAT', r.ends + grace, 'NX') then
  -- A connection to a cluster may send it twice.
  return answer(redis.call('GET', key('record:', name)) == raw and 'ok' or 'exists')
end
redis.call('ZADD', index, r.ends, name)
redis.call('ZADD', key('seals'), 'GT', r.latest + grace, r.seal)
changed()
return answer('ok')
