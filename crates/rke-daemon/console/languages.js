// A request in the words of a shell and of three languages, each ready to run.

import { hasToken } from './api.js';

// What a shell takes as it is.
const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// A text as JavaScript, Go and Python all write it.
const literal = (text) => JSON.stringify(text);

const isFile = (body) => body !== null && typeof body !== 'string';

function curl({ method, url, headers, body }) {
  const options = [];
  if (hasToken()) options.push('-H "Authorization: Bearer $RKE_TOKEN"');
  for (const [name, value] of Object.entries(headers)) options.push(`-H ${quote(`${name}: ${value}`)}`);
  if (body !== null) options.push(`--data-binary ${quote(isFile(body) ? `@${body.name}` : body)}`);
  const command = method === 'GET' ? 'curl' : `curl -X ${method}`;
  return [command, ...options, quote(url)].join(options.length > 0 ? ' \\\n  ' : ' ');
}

function javascript({ method, url, headers, body }) {
  const all = Object.entries(headers).map(([name, value]) => `    ${literal(name)}: ${literal(value)},\n`);
  if (hasToken()) all.push('    Authorization: `Bearer ${process.env.RKE_TOKEN}`,\n');
  const options = [`  method: ${literal(method)},\n`];
  if (all.length > 0) options.push(`  headers: {\n${all.join('')}  },\n`);
  if (body !== null) options.push(`  body: ${isFile(body) ? `await readFile(${literal(body.name)})` : literal(body)},\n`);
  return `${isFile(body) ? "import { readFile } from 'node:fs/promises';\n\n" : ''}const response = await fetch(${literal(url)}, {
${options.join('')}});
console.log(response.status, await response.text());`;
}

function go({ method, url, headers, body }) {
  const packages = ['fmt', 'io', 'net/http'];
  if (hasToken() || isFile(body)) packages.push('os');
  if (typeof body === 'string') packages.push('strings');
  const lines = [];
  if (isFile(body)) lines.push(`body, err := os.Open(${literal(body.name)})`, 'if err != nil {', '\tpanic(err)', '}');
  const content = { string: `strings.NewReader(${literal(body)})`, object: isFile(body) ? 'body' : 'nil' }[typeof body];
  lines.push(`request, err := http.NewRequest(${literal(method)}, ${literal(url)}, ${content})`, 'if err != nil {', '\tpanic(err)', '}');
  for (const [name, value] of Object.entries(headers)) lines.push(`request.Header.Set(${literal(name)}, ${literal(value)})`);
  if (hasToken()) lines.push('request.Header.Set("Authorization", "Bearer "+os.Getenv("RKE_TOKEN"))');
  lines.push('response, err := http.DefaultClient.Do(request)', 'if err != nil {', '\tpanic(err)', '}',
    'defer response.Body.Close()', 'answer, err := io.ReadAll(response.Body)', 'if err != nil {', '\tpanic(err)', '}',
    'fmt.Println(response.Status, string(answer))');
  return `package main

import (
${packages.map((name) => `\t${literal(name)}\n`).join('')})

func main() {
${lines.map((line) => `\t${line}\n`).join('')}}`;
}

function python({ method, url, headers, body }) {
  const all = Object.entries(headers).map(([name, value]) => `        ${literal(name)}: ${literal(value)},\n`);
  if (hasToken()) all.push('        "Authorization": "Bearer " + os.environ["RKE_TOKEN"],\n');
  const options = [`    ${literal(url)},\n    method=${literal(method)},\n`];
  if (all.length > 0) options.push(`    headers={\n${all.join('')}    },\n`);
  if (body !== null) options.push(`    data=${isFile(body) ? `open(${literal(body.name)}, "rb").read()` : `${literal(body)}.encode()`},\n`);
  return `${hasToken() ? 'import os\n' : ''}import urllib.error
import urllib.request

request = urllib.request.Request(
${options.join('')})
try:
    response = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    response = error
print(response.status, response.read().decode())`;
}

// Their names, in the order of the tabs.
export const LANGUAGES = new Map([['curl', curl], ['JavaScript', javascript], ['Go', go], ['Python', python]]);
