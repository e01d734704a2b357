// Shows /openapi.json: what there is to ask, grouped, with a form to ask it. The page knows nothing of the
// API that the document does not say, but where a daemon proposes a session.

import { hasToken, keepToken } from '/console/api.js';
import { byId, make, show, write } from '/console/dom.js';
import { operation } from './operation.js';
import { prose } from './prose.js';
import { send } from './request.js';
import { learn } from './tryit.js';

const METHODS = ['get', 'post', 'delete'];

// The document, once the daemon gives it out.
async function load() {
  for (;;) {
    const response = await send('GET', '/openapi.json');
    if (response.ok) return response.json();
    if (response.status !== 401) throw new Error(`The daemon answered with ${response.status}.`);
    await askForToken();
  }
}

function askForToken() {
  const field = byId('token-text');
  show(byId('token-wrong'), hasToken());
  show(byId('token'), true);
  field.value = '';
  field.focus();
  return new Promise((resolve) => {
    const submit = (event) => {
      event.preventDefault();
      keepToken(field.value.trim());
      show(byId('token'), false);
      resolve();
    };
    byId('token-form').addEventListener('submit', submit, { once: true });
  });
}

function render(document) {
  write(byId('version'), `Version ${document.info.version}`);
  byId('about').append(...prose(document.info.description));
  const all = Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, ...item[method] })));
  for (const tag of document.tags) {
    const some = all.filter((one) => one.tags.includes(tag.name));
    const id = `part-${tag.name.toLowerCase()}`;
    byId('operations').append(make('section', { class: 'part', 'aria-labelledby': id },
      make('h2', { id }, tag.name), make('p', { class: 'quiet' }, tag.description),
      some.map((one) => operation(document, one))));
    byId('contents').append(make('h2', {}, tag.name), make('ul', {}, some.map(entry)));
  }
  show(byId('reference'), true);
}

const entry = (one) => make('li', {}, make('a', { href: `#${one.operationId}` },
  make('span', { class: `method ${one.method}` }, one.method.toUpperCase()), ' ',
  make('span', { class: 'path' }, one.path.replace('/api/rke/', ''))));

// `rke dev` says which session can be opened here.
async function propose() {
  const response = await send('GET', '/api/rke/status');
  const { daemon } = await response.json();
  if (daemon.example) learn(daemon.example);
}

// Opens the operation that the address names.
function open() {
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (named?.tagName !== 'DETAILS') return;
  named.open = true;
  named.scrollIntoView();
  named.querySelector('summary').focus({ preventScroll: true });
}

try {
  render(await load());
  await propose();
  document.body.dataset.shown = true;
  addEventListener('hashchange', open);
  open();
} catch (error) {
  write(byId('lost'), `The document cannot be shown: ${error.message}`);
  show(byId('lost'), true);
}
