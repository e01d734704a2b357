// The first requests, for a shell.

// A session from beginning to end, for a shell. What the daemon proposes is a name and a path that need quotes at most.
export function shell(example, withToken) {
  const { domain, wallet_path: wallet } = example ?? { domain: 'content.example.com', wallet_path: '/home/alice/wallet' };
  const token = withToken ? ' -H "Authorization: Bearer $RKE_TOKEN"' : '';
  return `API=${location.origin}/api/rke
curl -G${token} $API/session \\
  --data-urlencode domain=${domain} \\
  --data-urlencode wallet_path='${wallet.replaceAll("'", "'\\''")}'
ID=…     # session_id of the response
curl -G${token} $API/encrypt -d session_id=$ID \\
  --data-urlencode plaintext=SGVsbG8gV29ybGQh
curl -G${token} $API/session/delete -d session_id=$ID`;
}
