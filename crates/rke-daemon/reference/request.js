// Requests to the daemon, with the token of this tab, and the same as a command line.

const TOKEN = 'rke-token';

export function send(method, target, { headers = {}, body = null, signal = null } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const all = { 'X-RKE-Request': '1', ...headers };
  if (token !== null) all.Authorization = `Bearer ${token}`;
  return fetch(target, { method, headers: all, body, signal });
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// What a shell would have to be told.
export function curl(method, target, headers, body) {
  const parts = ['curl'];
  if (method !== 'GET') parts.push('-X', method);
  if (sessionStorage.getItem(TOKEN) !== null) parts.push('-H', '"Authorization: Bearer $TOKEN"');
  for (const [name, value] of Object.entries(headers)) parts.push('-H', quote(`${name}: ${value}`));
  if (typeof body === 'string') parts.push('--data-binary', quote(body));
  else if (body) parts.push('--data-binary', quote(`@${body.name}`));
  return [...parts, quote(location.origin + target)].join(' ');
}
