-- Shows whether the partition has memory for more: like a creation it adds something, which is gone a millisecond later. ARGV: settle.
redis.call('SET', key('probe'), '', 'PX', 1)
return answer('ok')
