// Requests to the daemon, with the token of this tab.

const TOKEN = 'rke-token';

export function send(method, target, { headers = {}, body = null, signal = null } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const all = { 'X-RKE-Request': '1', ...headers };
  if (token !== null) all.Authorization = `Bearer ${token}`;
  return fetch(target, { method, headers: all, body, signal });
}
