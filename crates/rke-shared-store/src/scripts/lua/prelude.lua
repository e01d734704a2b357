-- Precedes each script on a partition. KEYS[1] is the partition's prefix: all its keys begin with it, so they share a slot.
-- ARGV[1] is how long after a new incarnation an unknown name may still be known to the old primary, in milliseconds.
-- docs/store-format.md section 5 has the keys.

-- The parts of a record's head.
local HEAD = '>Bc8c20I8I8I8I8I8c8I8I8I2I2I2'
-- How long a node may take for a deletion at another end before another node takes it over, in milliseconds.
local LEASE = 30000
-- How long what is needed for that is kept: longer than any key lives at a Content Server.
local FAREWELL_KEPT = 26 * 3600 * 1000

local function key(kind, name) return KEYS[1] .. kind .. (name or '') end

local state, index, domains, farewells, drain = key('state'), key('index'), key('domains'), key('farewells'), key('drain')

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- New at each start and promotion of a primary.
local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
incarnation = string.gsub(incarnation, '%x%x', function(byte) return string.char(tonumber(byte, 16)) end)

-- Adds the index to the records that nobody can use and a sweep removes.
local function abandon()
  if redis.call('EXISTS', index) == 0 then return end
  if redis.call('EXISTS', drain) == 0 then
    redis.call('RENAME', index, drain)
  else
    redis.call('ZUNIONSTORE', drain, 2, drain, index)
    redis.call('DEL', index)
  end
end

local known = redis.call('HMGET', state, 'incarnation', 'born', 'generation', 'all')
if known[1] ~= incarnation then
  known[2] = now
  redis.call('HSET', state, 'incarnation', incarnation, 'born', now)
  abandon()
  redis.call('DEL', domains)
end
local generation, all = tonumber(known[3]) or 0, tonumber(known[4]) or 0

-- Records that this script has removed, as pairs of a name and what is left.
local ended = {}

local function answer(status, ...)
  local young = now - known[2] < tonumber(ARGV[1]) and 1 or 0
  return { now, incarnation, young, ended, status, ... }
end

local function changed() redis.call('HINCRBY', state, 'changes', 1) end

-- Changes when a domain's cached keys are forgotten, and with each incarnation, which may not know that they were.
local function forgotten(tag)
  local of_all, of_domain = redis.call('HGET', state, 'forgotten'), redis.call('GET', key('forgotten:', tag))
  return incarnation .. (of_all or '0') .. '.' .. (of_domain or '0')
end

-- Removes a cached key, a domain's tag and a name, and adds its name and its record to `removed`.
local function uncache(member, removed)
  local entries, name = key('cached:', string.sub(member, 1, 8)), string.sub(member, 9)
  local raw = redis.call('HGET', entries, name)
  if raw then
    removed[#removed + 1] = name
    removed[#removed + 1] = raw
  end
  redis.call('HDEL', entries, name)
  redis.call('ZREM', key('cached'), member)
end

-- A record's fields.
local function parse(name, raw)
  local r = { name = name, raw = raw }
  local _
  _, r.seal, r.incarnation, r.expires, r.idle, r.created, r.latest, r.generation, r.domain, r.messages, r.bytes,
    r.secret_len, r.description_len, r.farewell_len = struct.unpack(HEAD, raw)
  r.ends = r.expires
  if r.idle > 0 and r.idle < r.ends then r.ends = r.idle end
  return r
end

-- The record, if it can be used now.
local function live(name)
  local raw = redis.call('GET', key('record:', name))
  if not raw then return nil end
  local r = parse(name, raw)
  if r.incarnation ~= incarnation then return nil end
  if r.ends <= now or r.generation < all then return nil end
  local since = redis.call('HGET', domains, r.domain)
  if since and r.generation < tonumber(since) then return nil end
  return r
end

-- The record as it is without its secret.
local function without_secret(r)
  return string.sub(r.raw, 1, 93) .. struct.pack('>I2', 0) .. string.sub(r.raw, 96, 99) .. string.sub(r.raw, 100 + r.secret_len)
end

-- Removes a record, and keeps what is needed to have its key wiped at the other end. Returns the record without its secret.
local function take_out(r)
  redis.call('UNLINK', key('record:', r.name), key('holders:', r.name))
  redis.call('ZREM', index, r.name)
  local rest = without_secret(r)
  if r.farewell_len > 0 then
    redis.call('SET', key('farewell:', r.name), rest, 'PX', FAREWELL_KEPT)
    redis.call('ZADD', farewells, now + LEASE, r.name)
  end
  changed()
  return rest
end

-- Removes records that have expired, at most this many.
local function prune(most)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, most)) do
    local raw = redis.call('GET', key('record:', name))
    if raw then
      ended[#ended + 1] = name
      ended[#ended + 1] = take_out(parse(name, raw))
    else
      redis.call('ZREM', index, name)
    end
  end
end
