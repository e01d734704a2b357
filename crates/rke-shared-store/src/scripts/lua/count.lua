-- How many records have not ended, the partition's change number, and which keys have sealed some. ARGV: settle.
return answer('ok', redis.call('ZCOUNT', index, '(' .. now, '+inf'), tonumber(redis.call('HGET', state, 'changes')) or 0,
  redis.call('ZRANGEBYSCORE', key('seals'), now, '+inf'))
