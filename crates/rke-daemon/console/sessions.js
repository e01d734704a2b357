// The sessions: a table of which one page is shown, and what can be done with a row.

import { ask } from './api.js';
import { banner } from './banners.js';
import { deleteAll, deleteOne } from './deleting.js';
import * as detail from './detail.js';
import { byId, copy, giveFocus, icon, make, reconcile, say, show, write } from './dom.js';
import { sayFailure } from './failures.js';
import { filtered, haystack, ordered, pageOf } from './listing.js';
import { openMenu } from './menu.js';
import { pager } from './pager.js';
import { expiresSoon, left, ring, turn } from './ring.js';
import { countSessions } from './state.js';
import { clock, number, plural, shortId, shortName, until } from './words.js';

const ASKED_AT_ONCE = 6;
// The longest name that is shown whole in a row.
const LONGEST = 42;

let all = [];
let inOrder = [];
let shown = [];
let life = 1;
let order = { by: 'opened', direction: -1 };
let page = 0;
let showPage = () => {};
const details = new Map();
const texts = new WeakMap();
const waiting = [];
let asking = 0;
let wanted = null;

export function start() {
  byId('session-filter').addEventListener('input', () => toPage(0));
  showPage = pager('session-pager', toPage);
  for (const button of document.querySelectorAll('#session-table .sort')) {
    button.addEventListener('click', () => sortBy(button.dataset.sort));
  }
  byId('session-rows').addEventListener('click', (event) => {
    const row = event.target.closest('.session');
    if (row && !event.target.closest('button')) open(row.dataset.key, row.querySelector('.row-open'));
  });
  byId('session-rows').addEventListener('keydown', moveBetweenRows);
  detail.start({ renew, remove: end });
  setInterval(tick, 1000);
}

export function render(listed, { sessions: { max }, config }) {
  all = listed.sessions;
  life = config.session_timeout_sec;
  inOrder = ordered(all, order.by, order.direction);
  const alive = new Set(all.map((session) => session.session_id));
  for (const id of details.keys()) if (!alive.has(id)) details.delete(id);
  write(byId('figure-sessions'), number(all.length));
  write(byId('figure-sessions-more'), `of ${number(max)}`);
  write(byId('nav-sessions'), number(all.length));
  write(byId('session-count'), `${number(all.length)} of ${number(max)}`);
  countSessions(all.length);
  show(byId('delete-all'), all.length > 0);
  byId('delete-all').onclick = () => endAll(listed.weak);
  draw();
  warn(listed);
  detail.refresh(alive);
  if (wanted !== null && alive.has(wanted)) openById(wanted);
}

const textOf = (session) => {
  if (!texts.has(session)) texts.set(session, haystack(session));
  return texts.get(session);
};

// Shows the page of those that the filter leaves.
function draw() {
  const found = filtered(inOrder, byId('session-filter').value, textOf);
  const { at, last, rows } = pageOf(found, page);
  page = at;
  shown = rows;
  const focused = document.activeElement?.closest?.('#session-rows tr');
  const place = focused ? [...focused.parentElement.children].indexOf(focused) : -1;
  reconcile(byId('session-rows'), rows, (session) => session.session_id, create, update);
  if (focused && !focused.isConnected) focusRow(place);
  show(byId('session-table'), rows.length > 0);
  show(byId('session-empty'), all.length === 0);
  show(byId('session-none'), all.length > 0 && rows.length === 0);
  showPage(at, last, found.length);
  rows.forEach((session) => learn(session.session_id));
}

function toPage(wanted) {
  page = Math.max(0, wanted);
  draw();
}

function sortBy(by) {
  order = { by, direction: order.by === by ? -order.direction : by === 'used' ? -1 : 1 };
  inOrder = ordered(all, order.by, order.direction);
  for (const button of document.querySelectorAll('#session-table .sort')) {
    const direction = order.direction === 1 ? 'ascending' : 'descending';
    if (button.dataset.sort === by) button.closest('th').setAttribute('aria-sort', direction);
    else button.closest('th').removeAttribute('aria-sort');
  }
  toPage(0);
}

// How a session's key was made never changes, so it is asked for once, for few at a time.
function learn(id) {
  if (details.has(id)) return;
  details.set(id, null);
  waiting.push(id);
  if (asking < ASKED_AT_ONCE) askNext();
}

async function askNext() {
  asking += 1;
  for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
    if (!details.has(id)) continue;
    try {
      details.set(id, await ask('GET', `session/${id}`));
    } catch {
      details.delete(id);
      continue;
    }
    const row = rowOf(id);
    const session = shown.find((session) => session.session_id === id);
    if (row && session) describe(row, session);
  }
  asking -= 1;
}

const rowOf = (id) => [...byId('session-rows').children].find((row) => row.dataset.key === id);

function create(session) {
  const id = session.session_id;
  const whose = `the session with ${session.domain}, ${shortId(id)}`;
  const cell = (name, ...children) => make('td', { role: 'cell', class: name }, ...children);
  const opener = make('button', { class: 'row-open', type: 'button', title: session.domain, 'aria-label': `Details of ${whose}`, onclick: () => open(id, opener) }, shortName(session.domain, LONGEST));
  const more = make('button', { class: 'icon-button', type: 'button', 'aria-haspopup': 'menu', 'aria-label': `Actions for ${whose}`, onclick: () => offer(id, more, whose) }, icon('more'));
  return make('tr', { class: 'session', role: 'row' },
    cell('', make('div', { class: 'row-name' }, opener, make('code', { class: 'row-id' }, shortId(id)))),
    cell('session-state', make('span', { class: 'bone' })),
    cell('number session-used'),
    cell('', make('span', { class: 'expiry' }, ring(), make('span', { class: 'expiry-text' }))),
    cell('', more));
}

function update(row, session) {
  const used = row.querySelector('.session-used');
  write(used, number(session.encrypt_count + session.decrypt_count));
  used.title = `${number(session.encrypt_count)} encrypted, ${number(session.decrypt_count)} decrypted`;
  row.querySelector('.expiry').title = `expires ${clock(new Date(session.expires_at))}`;
  pass(row, session);
  describe(row, session);
}

// What changes with time alone.
function pass(row, session) {
  turn(row.querySelector('.ring'), session, life);
  write(row.querySelector('.expiry-text'), until(left(session)));
}

function tick() {
  for (const session of shown) {
    const row = rowOf(session.session_id);
    if (!row) continue;
    pass(row, session);
    describe(row, session);
  }
}

// Only what is not as it should be is coloured.
function describe(row, session) {
  const known = details.get(session.session_id);
  const soon = expiresSoon(session, life);
  if (!known && !soon) return;
  const badges = [...(known ? detail.state(known) : []), ...(soon ? [['doubt', 'Expires soon']] : [])];
  const wanted = badges.length > 0 ? badges : [['plain', known ? 'Authenticated' : '']];
  const cell = row.querySelector('.session-state');
  const key = JSON.stringify(wanted);
  if (cell.dataset.state === key) return;
  cell.dataset.state = key;
  cell.replaceChildren(make('div', { class: 'badges' }, wanted.map(([kind, text]) => make('span', { class: `badge ${kind}` }, text))));
}

// A banner for all sessions whose key is weak, and one for those whose ends know each other weakly.
function warn({ weak, weakly_authenticated: weakly }) {
  const tell = (name, kind, count, text) => banner(name, count === 0 ? null : { kind, text, href: '#help-weak', link: 'Help' });
  tell('weak', 'bad', weak, `${plural(weak, 'weak session')}: anyone who saw the exchange finds the 8-bit key in 256 tries.`);
  tell('weakly', 'doubt', weakly, `${plural(weakly, 'weakly authenticated session')}: someone in the middle may have posed as either end.`);
}

// A session with all that is known about it.
const whole = (session) => ({ ...session, ...details.get(session.session_id) });

const find = (id) => all.find((session) => session.session_id === id);

function open(id, opener) {
  const session = find(id);
  if (session) detail.open(session, opener);
}

// Opens the panel of a session that has just been opened, and may not be among those that are known yet.
export function openById(id) {
  wanted = find(id) ? null : id;
  open(id, rowOf(id)?.querySelector('.row-open') ?? byId('open-panel'));
}

function offer(id, button, whose) {
  openMenu(button, `Actions for ${whose}`, [
    ['Details', () => open(id, button)],
    ['Encrypt a message', () => detail.open(find(id), button, true)],
    ['Copy id', () => copy(id, 'Session id')],
    ['Renew', () => renew(id)],
    ['Delete…', () => end(find(id)), 'danger'],
  ]);
}

async function renew(id) {
  try {
    const { expires_at } = await ask('POST', `session/${id}/renew`);
    say(`Renewed: expires ${clock(new Date(expires_at))}.`);
  } catch (error) {
    sayFailure('Not renewed', error);
  }
}

// Ends a session. The focus goes to the row that takes its place.
async function end(session) {
  if (!session) return;
  const place = shown.findIndex((other) => other.session_id === session.session_id);
  if (!await deleteOne(whole(session))) return;
  detail.close();
  all = all.filter((other) => other.session_id !== session.session_id);
  inOrder = inOrder.filter((other) => other.session_id !== session.session_id);
  draw();
  focusRow(Math.max(0, place));
}

function focusRow(place) {
  const rows = byId('session-rows').children;
  const row = rows[Math.min(place, rows.length - 1)];
  const target = row?.querySelector('.row-open') ?? byId('open-panel');
  giveFocus(target);
  target.scrollIntoView({ block: 'nearest' });
}

async function endAll(weak) {
  if (await deleteAll(all, weak)) giveFocus(byId('sessions'));
}

function moveBetweenRows(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = event.target.closest('.session');
  if (!step || !row) return;
  const next = step === 1 ? row.nextElementSibling : row.previousElementSibling;
  const kind = event.target.classList.contains('row-open') ? '.row-open' : '.icon-button';
  if (!next) return;
  event.preventDefault();
  next.querySelector(kind).focus();
}
