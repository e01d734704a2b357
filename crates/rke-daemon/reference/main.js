// Shows /openapi.json: what is true of every request, then the operations in groups, each with a form to try it. The page knows
// nothing of the API that the document does not say, except that a daemon may propose a session.

import { hasToken, keepToken } from '/console/api.js';
import { byId, make, show, write } from '/console/dom.js';
import { breakable } from '/console/words.js';
import { introduction, operations } from './introduction.js';
import { operation } from './operation.js';
import { send } from './request.js';
import { start } from './search.js';
import { learn } from './tryit.js';

// The document, once the daemon gives it out.
async function load() {
  for (;;) {
    const response = await send('GET', '/openapi.json');
    if (response.ok) return response.json();
    if (response.status !== 401) throw new Error(`The daemon responded with ${response.status}.`);
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
  byId('operations').append(...introduction(document));
  const all = operations(document).map((one) => ({
    one, article: operation(document, one), entry: entry(one), text: searched(one),
  }));
  for (const tag of document.tags) {
    const some = all.filter(({ one }) => one.tags.includes(tag.name));
    const id = `part-${tag.name.toLowerCase()}`;
    byId('operations').append(make('section', { class: 'part', 'data-part': true, 'aria-labelledby': id },
      make('h2', { id }, tag.name), make('p', { class: 'quiet' }, tag.description),
      some.map(({ article }) => article)));
    byId('contents').append(make('div', { 'data-part': true }, make('h2', {}, tag.name), make('ul', {}, some.map((each) => each.entry))));
  }
  start(all);
  show(byId('reference'), true);
}

const searched = (one) => [one.method, one.path, one.summary, one.operationId, one.description,
  ...(one.parameters ?? []).map((parameter) => parameter.name)].join(' ').toLowerCase();

const entry = (one) => make('li', { 'data-operation': true }, make('a', { href: `#${one.operationId}` },
  make('span', { class: `method ${one.method}` }, one.method.toUpperCase()), ' ',
  make('span', { class: 'path' }, breakable(one.path.replace('/api/rke/', '')))));

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
