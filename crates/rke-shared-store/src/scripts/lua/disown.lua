-- Counts a key on its owner no longer. ARGV: settle, the owner's tag, the key's places.
for at = 3, #ARGV do
  redis.call('ZREM', key('owned:', ARGV[2]), ARGV[at])
  redis.call('ZREM', key('owned-ends:', ARGV[2]), ARGV[at])
end
return answer('ok')
