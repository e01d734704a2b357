// The daemon's API, as any page of this origin may use it. The token, where there is one, is kept for
// this tab only.

const TOKEN = 'rke-token';

// The daemon said no: `status` and `body` as in docs/api.md.
export class Refused extends Error {
  constructor(status, body) {
    super(body.message ?? `The daemon responded with ${status}`);
    this.status = status;
    this.body = body;
  }
}

// No response came.
export class Unreachable extends Error {
  constructor() {
    super('The daemon does not respond');
  }
}

let lead = 0;

// The daemon's time. The browser's clock may be another machine's.
export const now = () => Date.now() + lead;

export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

export function keepToken(token) {
  if (token === null) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, token);
}

// What is posted goes as JSON, all else as a query.
async function send(method, path, parameters, options = {}) {
  const posts = method === 'POST';
  const query = posts ? '' : new URLSearchParams(parameters).toString();
  const token = sessionStorage.getItem(TOKEN);
  const headers = { 'X-RKE-Request': '1' };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  if (posts) headers['Content-Type'] = 'application/json';
  const body = posts ? JSON.stringify(parameters) : null;
  let response;
  try {
    response = await fetch(`/api/rke/${path}${query && `?${query}`}`, { method, headers, body, ...options });
  } catch {
    throw new Unreachable();
  }
  const date = Date.parse(response.headers.get('date'));
  if (Math.abs(date - now()) > 2000) lead = date - Date.now();
  return response;
}

// The answer to a request.
export async function ask(method, path, parameters = {}) {
  const response = await send(method, path, parameters);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body);
  return body;
}

// Whether the daemon responds, whatever it says.
export function responds(signal) {
  return fetch('/health/live', { signal }).then(() => true, () => false);
}

// The daemon's events as they come: name and data. `null` stands for a sign of life.
export async function* events(signal) {
  const response = await send('GET', 'events', {}, { signal });
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  yield null;
  let rest = '';
  try {
    for await (const text of texts(response.body)) {
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) yield event(block);
    }
  } catch {
    throw new Unreachable();
  }
}

async function* texts(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield value;
  }
}

function event(block) {
  const field = (name) => block.split('\n').find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const name = field('event');
  return name ? { name, data: JSON.parse(field('data') ?? '{}') } : null;
}
