// A request as a line for the shell, as JavaScript and as Go, each ready to run. The parameters are ids
// and Base64: nothing in them needs quoting.

const KIND = 'application/json';

export function curl(path, parameters, withToken) {
  const token = withToken ? '  -H "Authorization: Bearer $RKE_TOKEN" \\\n' : '';
  return `curl '${location.origin}${path}' \\
${token}  -H 'Content-Type: ${KIND}' \\
  -d '${JSON.stringify(parameters)}'`;
}

export function javascript(path, parameters, withToken) {
  const lines = Object.entries(parameters).map(([name, value]) => `    ${name}: '${value}',`);
  const token = withToken ? '\n    Authorization: `Bearer ${process.env.RKE_TOKEN}`,' : '';
  return `const answer = await fetch('${location.origin}${path}', {
  method: 'POST',
  headers: {
    'Content-Type': '${KIND}',${token}
  },
  body: JSON.stringify({
${lines.join('\n')}
  }),
});
console.log(await answer.json());`;
}

export function go(path, parameters, withToken) {
  const token = withToken ? '\trequest.Header.Set("Authorization", "Bearer "+os.Getenv("RKE_TOKEN"))\n' : '';
  return `package main

import (
\t"io"
\t"net/http"
\t"os"
\t"strings"
)

func main() {
\tbody := strings.NewReader(\`${JSON.stringify(parameters)}\`)
\trequest, err := http.NewRequest("POST", "${location.origin}${path}", body)
\tif err != nil {
\t\tpanic(err)
\t}
\trequest.Header.Set("Content-Type", "${KIND}")
${token}\tanswer, err := http.DefaultClient.Do(request)
\tif err != nil {
\t\tpanic(err)
\t}
\tdefer answer.Body.Close()
\tio.Copy(os.Stdout, answer.Body)
}`;
}

// A session from beginning to end, for a shell. What the daemon proposes is a name and a path that need quotes at most.
export function shell(example, withToken) {
  const { domain, wallet_path: wallet } = example ?? { domain: 'content.example.com', wallet_path: '/home/alice/wallet' };
  const token = withToken ? ' -H "Authorization: Bearer $RKE_TOKEN"' : '';
  return `API=${location.origin}/api/rke
curl -G${token} $API/session \\
  --data-urlencode domain=${domain} \\
  --data-urlencode wallet_path='${wallet.replaceAll("'", "'\\''")}'
ID=…     # session_id of the answer
curl -G${token} $API/encrypt -d session_id=$ID \\
  --data-urlencode plaintext=SGVsbG8gV29ybGQh
curl -G${token} $API/session/delete -d session_id=$ID`;
}
