-- Removes a record and tells its holders. ARGV: settle, operation, node, channel, announcement, whether the node will report it ('1') or
-- could not ('0'), names.
--
-- What a node removes but cannot report leaves an unreported trace, and the next request for it is the one that reports it: so an id
-- never dies twice, and a deletion whose response was lost is not denied. A trace is '1' or '0', the operation, and the holders.
local operation, node, channel, announcement, reports = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

-- With this node: it may have fetched the record again since it began to delete it, and the next request finds the holders in the trace.
local function holders_of(name)
  local found, all_of = {}, redis.call('HGETALL', key('holders:', name))
  for at = 1, #all_of, 2 do
    if tonumber(all_of[at + 1]) > now then found[#found + 1] = all_of[at] end
  end
  return table.concat(found)
end

-- This node wipes its copy when it has the answer.
local function announce(name, holders)
  for at = 1, #holders, 8 do
    local holder = string.sub(holders, at, at + 7)
    if holder ~= node then redis.call('PUBLISH', channel .. holder, announcement .. name) end
  end
end

local function leave_trace(name, holders)
  redis.call('SET', key('gone:', name), reports .. operation .. holders, 'PX', reports == '1' and 60000 or 3600000)
end

for at = 7, #ARGV do
  local r = live(ARGV[at])
  if r then
    local holders = holders_of(r.name)
    local rest = take_out(r)
    leave_trace(r.name, holders)
    announce(r.name, holders)
    return answer('deleted', r.name, rest, holders)
  end
end

for at = 7, #ARGV do
  local trace = redis.call('GET', key('gone:', ARGV[at]))
  if trace then
    local is_reported, by, holders = string.sub(trace, 1, 1) == '1', string.sub(trace, 2, 9), string.sub(trace, 10)
    local is_own = by == operation
    if is_own or (not is_reported and reports == '1') then
      -- The first attempt of the same operation may arrive after its second: then it changes nothing.
      if not is_own or is_reported then leave_trace(ARGV[at], holders) end
      announce(ARGV[at], holders)
      return answer('deleted', ARGV[at], redis.call('GET', key('farewell:', ARGV[at])) or '', holders)
    end
  end
end
return answer('absent', redis.call('ZRANGEBYSCORE', key('seals'), now, '+inf'))
