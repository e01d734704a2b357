-- Replaces a record by one with another end, if nobody else has. ARGV: settle, name, the sealed secret that it has, the new record,
-- grace.
local r, new = live(ARGV[2]), parse(ARGV[2], ARGV[4])
if not r then return answer('absent') end
if new.incarnation ~= incarnation then return answer('stale') end
if string.sub(r.raw, 100, 99 + r.secret_len) ~= ARGV[3] then return answer('changed') end

-- What has been used since the node fetched it stays used, also as far as its idle end is concerned.
local raw = string.sub(new.raw, 1, 37) .. string.sub(r.raw, 38, 45) .. string.sub(new.raw, 46, 61) .. string.sub(r.raw, 62, 69) .. string.sub(new.raw, 70, 77)
  .. string.sub(r.raw, 78, 93) .. string.sub(new.raw, 94)
local ends = parse(r.name, raw).ends
redis.call('SET', key('record:', r.name), raw, 'PXAT', ends + ARGV[5])
redis.call('ZADD', index, ends, r.name)
changed()
return answer('ok')
