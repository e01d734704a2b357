-- A page of the records that have not ended, in the order of their ends, without secrets, and where the next page begins. ARGV: settle, how
-- many, where the page before has ended (an end and a name; nothing for the first).
local most, ends, last = tonumber(ARGV[2]), ARGV[3], ARGV[4]

-- How many come before the page. If the last one is gone, those that end with it are listed again rather than left out.
local from
if last == '' then
  from = redis.call('ZCOUNT', index, '-inf', now)
else
  from = redis.call('ZRANK', index, last)
  from = from and from + 1 or redis.call('ZCOUNT', index, '-inf', '(' .. ends)
end

local found, page = redis.call('ZRANGE', index, from, from + most - 1, 'WITHSCORES'), {}
for at = 1, #found, 2 do
  local r = live(found[at])
  if r then
    page[#page + 1] = r.name
    page[#page + 1] = without_secret(r)
  end
end
if #found < 2 * most then return answer('ok', page, '', '') end
return answer('ok', page, found[#found], found[#found - 1])
