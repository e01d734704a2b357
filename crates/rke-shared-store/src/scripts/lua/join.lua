-- Notes that a node is alive, if it has the limits of the others. KEYS[1] is the prefix of what all partitions share. ARGV: node, limits, how
-- long without a word a node counts as dead, in milliseconds.
local nodes, limits = KEYS[1] .. 'members', KEYS[1] .. 'limits'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', nodes, '-inf', now - ARGV[3])
redis.call('ZREM', nodes, ARGV[1])
local theirs = redis.call('GET', limits)
if theirs and theirs ~= ARGV[2] and redis.call('ZCARD', nodes) > 0 then return { 'differs', theirs } end
redis.call('SET', limits, ARGV[2])
redis.call('ZADD', nodes, now, ARGV[1])
return { 'ok', redis.call('ZCARD', nodes) }
