// A request as a line for the shell, as JavaScript and as Go, each ready to run.

const token = (line) => (withToken) => (withToken ? line : '');

const CURL_TOKEN = token('  -H "Authorization: Bearer $RKE_TOKEN" \\\n');

export function curl(path, parameters, withToken) {
  const lines = Object.entries(parameters).map(([name, value]) => `  --data-urlencode '${name}=${value}'`);
  return `curl -G '${location.origin}${path}' \\\n${CURL_TOKEN(withToken)}${lines.join(' \\\n')}`;
}

export function javascript(path, parameters, withToken) {
  const lines = Object.entries(parameters).map(([name, value]) => `  ${name}: '${value}',`);
  const options = withToken ? ', {\n  headers: { Authorization: `Bearer ${process.env.RKE_TOKEN}` },\n}' : '';
  return `const query = new URLSearchParams({
${lines.join('\n')}
});
const answer = await fetch(\`${location.origin}${path}?\${query}\`${options});
console.log(await answer.json());`;
}

export function go(path, parameters, withToken) {
  const lines = Object.entries(parameters).map(([name, value]) => `\t\t"${name}": {"${value}"},`);
  const imports = ['io', 'net/http', 'net/url', 'os'].map((name) => `\t"${name}"`).join('\n');
  const header = withToken ? '\trequest.Header.Set("Authorization", "Bearer "+os.Getenv("RKE_TOKEN"))\n' : '';
  return `package main

import (
${imports}
)

func main() {
\tquery := url.Values{
${lines.join('\n')}
\t}
\trequest, err := http.NewRequest("GET", "${location.origin}${path}?"+query.Encode(), nil)
\tif err != nil {
\t\tpanic(err)
\t}
${header}\tanswer, err := http.DefaultClient.Do(request)
\tif err != nil {
\t\tpanic(err)
\t}
\tdefer answer.Body.Close()
\tio.Copy(os.Stdout, answer.Body)
}`;
}
