// The sessions: one row each, and ways to end them.

import { ask, Refused } from './api.js';
import { confirm } from './confirm.js';
import { byId, copy, make, reconcile, say, show, write } from './dom.js';
import { ring, turn } from './ring.js';
import { bytes, clock, list, number, plural } from './words.js';

// A page of more rows than this helps nobody.
const MOST_ROWS = 100;

let shown = [];
let life = 1;
const details = new Map();

export function start() {
  byId('delete-all').addEventListener('click', deleteAll);
  setInterval(tick, 1000);
}

export function render(listed, { sessions: { max }, config }) {
  shown = listed.sessions;
  life = config.session_timeout_sec;
  const rows = shown.slice(0, MOST_ROWS);
  reconcile(byId('session-rows'), rows, (session) => session.session_id, create, update);
  show(byId('session-empty'), shown.length === 0);
  show(byId('delete-all'), shown.length > 0);
  const hidden = shown.length - rows.length;
  write(byId('session-more'), `${plural(hidden, 'more session')} not shown; rke session list has all.`);
  show(byId('session-more'), hidden > 0);
  write(byId('figure-sessions'), number(shown.length));
  write(byId('figure-sessions-what'), `of ${plural(max, 'session')}`);
  forgetDetails();
  for (const session of rows) learn(session.session_id);
}

function forgetDetails() {
  const alive = new Set(shown.map((session) => session.session_id));
  for (const id of details.keys()) if (!alive.has(id)) details.delete(id);
}

// How a session's key was made never changes, so it is asked for once.
async function learn(id) {
  if (details.has(id)) return;
  details.set(id, null);
  try {
    details.set(id, await ask('GET', `session/${id}`));
  } catch {
    details.delete(id);
    return;
  }
  const row = [...byId('session-rows').children].find((row) => row.dataset.key === id);
  if (row) describe(row, details.get(id));
}

const shortOf = (id) => `${id.slice(0, 6)}…${id.slice(-4)}`;

function create(session) {
  const id = session.session_id;
  const short = shortOf(id);
  const small = (text, label, onclick) => make('button', { class: 'button small', type: 'button', 'aria-label': label, onclick }, text);
  const part = (name) => make('span', { class: name });
  return make('li', { class: 'row session' },
    ring(),
    make('div', { class: 'session-who' },
      make('strong', { class: 'session-domain' }, session.domain),
      make('span', { class: 'session-server' }, session.cs_id),
      make('span', { class: 'session-id' }, make('code', { title: id }, short),
        small('Copy id', `Copy id ${short}`, () => copy(id, 'Session id')),
        small('Renew', `Renew the session with ${session.domain}, ${short}`, () => renew(id)))),
    make('div', { class: 'session-what' }, part('badges'), part('counts'), part('ends')),
    make('button', {
      class: 'button danger', type: 'button',
      'aria-label': `Delete the session with ${session.domain}, ${short}`, onclick: () => deleteOne(session),
    }, 'Delete'),
    make('p', { class: 'session-warning', hidden: true }),
    make('details', { class: 'session-details', hidden: true },
      make('summary', { 'aria-label': `Details of the session with ${session.domain}, ${short}` }, 'Details'),
      make('dl', { class: 'pairs' })));
}

function update(row, session) {
  turn(row.querySelector('.ring'), session, life);
  write(row.querySelector('.counts'),
    `${number(session.encrypt_count)} encrypted, ${number(session.decrypt_count)} decrypted`);
  write(row.querySelector('.ends'), `expires ${clock(new Date(session.expires_at))}`);
  describe(row, details.get(session.session_id));
}

function tick() {
  for (const row of byId('session-rows').children) {
    const session = shown.find((session) => session.session_id === row.dataset.key);
    if (session) turn(row.querySelector('.ring'), session, life);
  }
}

function describe(row, detail) {
  const badges = row.querySelector('.badges');
  if (!detail || badges.hasChildNodes()) return;
  const weak = detail.key_bits < 128;
  const badge = (kind, text) => make('span', { class: `badge ${kind}` }, text);
  badges.append(
    badge(weak ? 'loud' : 'plain', weak ? `${detail.key_bits}-bit, weak` : `${detail.key_bits}-bit`),
    ' ', badge(...trust(detail)),
    detail.liars.length > 0 ? make('span', {}, ' ', badge('bad', `${plural(detail.liars.length, 'liar')} left out`)) : '');
  row.classList.toggle('weak', weak);
  const warning = row.querySelector('.session-warning');
  warning.textContent = warningOf(detail, weak);
  show(warning, warning.textContent !== '');
  row.querySelector('.session-details dl').replaceChildren(...facts(detail));
  show(row.querySelector('.session-details'), true);
}

// What the other end is known by, as a badge.
function trust({ authenticated, confirmed }) {
  if (authenticated === 'strong') return ['good', 'Authenticated'];
  if (authenticated === 'weak') return ['doubt', 'Weakly authenticated'];
  return confirmed ? ['plain', 'Confirmed'] : ['doubt', 'Not confirmed'];
}

const AUTHENTICATED = {
  strong: 'strongly, by 32-byte shares',
  weak: 'weakly, by 1-byte shares',
  no: 'no: the key has 8 bits',
};

function facts(detail) {
  const pair = (name, value) => [make('dt', {}, name), make('dd', {}, value)];
  return [
    ...pair('key id', detail.key_id === null ? 'none' : make('code', {}, detail.key_id)),
    ...pair('authenticated', AUTHENTICATED[detail.authenticated] ?? detail.authenticated),
    ...pair('proven coin', detail.coin ?? 'none'),
    ...pair('forward secret', detail.forward_secret ? 'yes' : 'no'),
    ...pair('opened', detail.from_cache ? 'from the cache, without asking a RAIDA' : `with the shares of ${plural(detail.raidas.length, 'RAIDA')}`),
  ];
}

function warningOf(detail, weak) {
  const shared = 'Sessions from the cache share it.';
  if (weak && !detail.confirmed) return `Anyone who saw the exchange finds this key in 256 tries. ${shared} The Content Server has not shown that it has it.`;
  if (weak) return `Anyone who saw the exchange finds this key in 256 tries. ${shared}`;
  if (detail.authenticated === 'weak') return 'The ends know each other by 1-byte shares: anyone with a coin who was in the middle when the key was made may have posed as either end.';
  if (detail.liars.length > 0) return `RAIDA ${list(detail.liars)} gave a wrong share, which was left out.`;
  return '';
}

async function renew(id) {
  try {
    const { expires_at } = await ask('POST', `session/${id}/renew`);
    say(`Renewed: expires ${clock(new Date(expires_at))}.`);
  } catch (error) {
    say(`Not renewed: ${error.message}`);
  }
}

async function deleteOne(session) {
  const choices = await confirm({
    title: `Delete the session with ${session.domain}?`,
    text: `Applications that use ${shortOf(session.session_id)} are refused from then on. Its key is wiped here and at the Content Server and cannot be made again: what was encrypted with it stays unreadable.`,
    yes: 'Delete session',
    choices: [
      { name: 'verify', label: 'Scan memory for the key afterwards', checked: true },
      { name: 'everywhere', label: 'Wait up to 5 seconds for the Content Server to wipe the key too', checked: true },
      { name: 'forget', label: 'Remove what is cached for this domain too', checked: false },
    ],
  });
  if (choices === null) return;
  await attempt(async () => {
    const done = await remove(session.session_id, choices);
    say(`Session deleted.${receipt(done.wipe)}${REMOTE[done.remote] ?? ''}`);
  });
  byId('sessions').focus();
}

async function remove(id, choices) {
  try {
    return await ask('DELETE', `session/${id}`, choices);
  } catch (error) {
    // Receipts are rationed, deletions are not.
    if (choices.verify && error.status === 429) return remove(id, { ...choices, verify: false });
    throw error;
  }
}

const REMOTE = {
  forgotten: ' The Content Server has wiped it too.',
  pending: ' The Content Server has not yet shown that it has wiped it too; the daemon goes on asking.',
  unsupported: ' The Content Server keeps its copy of an 8-bit key until that expires.',
};

function receipt(wipe) {
  if (!wipe) return '';
  if (wipe.hits > 0) return ` Its key is wiped. ${plural(wipe.hits, 'scratch stack')} had not been wiped before, a bug in rke: please report it.`;
  return ` Its key is wiped: ${bytes(wipe.scanned_bytes)} looked through, nothing left.`;
}

async function deleteAll() {
  const count = shown.length;
  const domains = [...new Set(shown.map((session) => session.domain))];
  const named = domains.length > 4 ? [...domains.slice(0, 3), `${domains.length - 3} more`] : domains;
  const choices = await confirm({
    title: count === 1 ? 'Delete the only session?' : `Delete all ${number(count)} sessions?`,
    text: `Applications that use them (${list(named)}) are refused from then on. Their keys are wiped here and at the Content Servers and cannot be made again: what was encrypted with them stays unreadable.`,
    yes: `Delete ${plural(count, 'session')}`,
    choices: [{ name: 'forget', label: 'Remove the cached keys too', checked: false }],
  });
  if (choices === null) return;
  await attempt(async () => {
    const { deleted } = await ask('DELETE', 'sessions', choices);
    say(`${plural(deleted, 'session')} deleted, their keys wiped.`);
  });
  byId('sessions').focus();
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    const gone = error instanceof Refused && error.status === 404;
    say(gone ? 'The session had already ended.' : `Not deleted: ${error.message}`);
  }
}
