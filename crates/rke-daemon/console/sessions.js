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
    make('p', { class: 'session-warning', hidden: true }));
}

function update(row, session) {
  turn(row.querySelector('.ring'), session, life);
  write(row.querySelector('.counts'),
    `${number(session.encrypt_count)} encrypted, ${number(session.decrypt_count)} decrypted`);
  write(row.querySelector('.ends'), `ends ${clock(new Date(session.expires_at))}`);
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
    ' ', badge(detail.confirmed ? 'good' : 'doubt', detail.confirmed ? 'Confirmed' : 'Not confirmed'),
    detail.liars.length > 0 ? make('span', {}, ' ', badge('bad', `${plural(detail.liars.length, 'liar')} left out`)) : '');
  row.classList.toggle('weak', weak);
  const warning = row.querySelector('.session-warning');
  warning.textContent = warningOf(detail, weak);
  show(warning, warning.textContent !== '');
}

function warningOf(detail, weak) {
  if (weak) return 'Whoever saw the exchange finds this key in 256 tries. It protects nothing from them.';
  if (!detail.confirmed) return 'The Content Server has not shown that it has the same key. If data turns out unreadable, delete the session and open a new one.';
  if (detail.liars.length > 0) return `RAIDA ${list(detail.liars)} gave a wrong share. The key was made without.`;
  return '';
}

async function renew(id) {
  try {
    const { expires_at } = await ask('POST', `session/${id}/renew`);
    say(`Renewed: ends ${clock(new Date(expires_at))}.`);
  } catch (error) {
    say(`Not renewed: ${error.message}`);
  }
}

async function deleteOne(session) {
  const choices = await confirm({
    title: `Delete the session with ${session.domain}?`,
    text: `Applications that use ${shortOf(session.session_id)} are refused from then on, and its key is wiped from memory. This cannot be undone.`,
    yes: 'Delete session',
    choices: [
      { name: 'verify', label: 'Look through memory afterwards for traces of the key', checked: true },
      { name: 'forget', label: 'Forget the cached key of this domain too', checked: false },
    ],
  });
  if (choices === null) return;
  await attempt(async () => {
    const done = await remove(session.session_id, choices);
    say(`Session deleted.${receipt(done.wipe)}`);
  });
  byId('sessions').focus();
}

async function remove(id, { forget, verify }) {
  try {
    return await ask('DELETE', `session/${id}`, { forget, verify });
  } catch (error) {
    // Receipts are rationed, deletions are not.
    if (verify && error.status === 429) return remove(id, { forget, verify: false });
    throw error;
  }
}

function receipt(wipe) {
  if (!wipe) return '';
  if (wipe.hits > 0) return ` ${plural(wipe.hits, 'trace')} of its key had been left in memory, and is wiped now. Please report this.`;
  return ` Its key is wiped: ${bytes(wipe.scanned_bytes)} looked through, nothing left.`;
}

async function deleteAll() {
  const count = shown.length;
  const domains = [...new Set(shown.map((session) => session.domain))];
  const named = domains.length > 4 ? [...domains.slice(0, 3), `${domains.length - 3} more`] : domains;
  const choices = await confirm({
    title: count === 1 ? 'Delete the only session?' : `Delete all ${number(count)} sessions?`,
    text: `Applications that use them (${list(named)}) are refused from then on, and their keys are wiped from memory. This cannot be undone.`,
    yes: `Delete ${plural(count, 'session')}`,
    choices: [{ name: 'forget', label: 'Forget the cached keys too', checked: false }],
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
