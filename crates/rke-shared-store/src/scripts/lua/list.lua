-- A page of the records that have not ended, in the order of their ends, without secrets. ARGV: settle, how many to skip, how many to
-- return.
local page = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', index, '(' .. now, '+inf', 'LIMIT', ARGV[2], ARGV[3])) do
  local r = live(name)
  if r then
    page[#page + 1] = name
    page[#page + 1] = without_secret(r)
  end
end
return answer('ok', page)
