-- A page of the records that have not ended, in the order of their ends, without secrets. ARGV: settle, how many to skip, how many to
-- return.
local page = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', index, '(' .. now, '+inf', 'LIMIT', ARGV[2], ARGV[3])) do
  local r = live(name)
  if r then
    page[#page + 1] = name
    page[#page + 1] = string.sub(r.raw, 1, 93) .. struct.pack('>I2', 0) .. string.sub(r.raw, 96, 99)
      .. string.sub(r.raw, 100 + r.secret_len)
  end
end
return answer('ok', page)
