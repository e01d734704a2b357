-- Opens a record to a node, and writes the node into its holders. ARGV: settle, node, hold, idle, grace, needed and greatest
-- messages, needed and greatest bytes, how much of the record to return, names.
local node, hold, idle, grace = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

-- Takes a block of what a key may still encrypt: what is needed, and a share of the rest, so that few blocks are.
local function block(needed, used, greatest)
  local left = greatest - used
  if needed > left then return nil end
  if needed == 0 then return 0 end
  return math.max(needed, math.floor(left / 64))
end

local function use(r)
  local messages = block(tonumber(ARGV[6]), r.messages, tonumber(ARGV[7]))
  local bytes = block(tonumber(ARGV[8]), r.bytes, tonumber(ARGV[9]))
  if not messages or not bytes then return answer('used up') end
  local record = key('record:', r.name)
  if messages > 0 or bytes > 0 then
    redis.call('SETRANGE', record, 77, struct.pack('>I8I8', r.messages + messages, r.bytes + bytes))
  end
  if idle > 0 then
    redis.call('SETRANGE', record, 37, struct.pack('>I8', now + idle))
    local ends = math.min(r.expires, now + idle)
    redis.call('ZADD', index, ends, r.name)
    redis.call('PEXPIREAT', record, ends + grace)
  end
  redis.call('HSET', key('holders:', r.name), node, now + hold)
  redis.call('PEXPIRE', key('holders:', r.name), hold)
  redis.call('HSET', key('nodes'), node, now + hold)
  local shown = r.raw
  if ARGV[10] == 'head' then shown = string.sub(shown, 1, 99) end
  return answer('ok', r.name, shown, messages, bytes)
end

for at = 11, #ARGV do
  local r = live(ARGV[at])
  if r then return use(r) end
end
return answer('absent', redis.call('ZRANGEBYSCORE', key('seals'), now, '+inf'))
