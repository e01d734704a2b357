// What has happened: the feed of the overview, and the table of all events with the receipts.

import { now } from './api.js';
import { byId, make, save, show, write } from './dom.js';
import { reason } from './gate.js';
import { filtered, pageOf } from './listing.js';
import { pager } from './pager.js';
import * as receipt from './receipt.js';
import { breakable, plural, shortName, since } from './words.js';

const RECENT = 9;
// The longest name that is shown whole in a row of the table.
const LONGEST = 26;

const NAMES = {
  daemon_started: 'Daemon started',
  session_created: 'Opened',
  session_refused: 'Not opened',
  session_renewed: 'Renewed',
  session_used_up: 'Key used up',
  session_deleted: 'Deleted',
  session_expired: 'Expired',
  session_dropped: 'Dropped',
  keys_forgotten: 'Cached keys removed',
  remote_deletion_confirmed: 'Wiped at the Content Server',
  remote_deletion_given_up: 'Never confirmed by the Content Server',
  request_refused: 'Requests rejected',
};

const DETAILS = {
  from_cache: 'from the cache',
  new_shares: 'with new shares',
  wallet: '(wallet unusable)',
  discovery: '(not found in DNS)',
  weak_shares: '(only weak shares)',
  too_few_answered: '(too few RAIDAs responded)',
  too_few_right: '(too many wrong shares)',
  content_server: '(no key agreed)',
  untrusted: '(another Content Server)',
  unconfirmed: '(key not confirmed)',
  still_running: '(another exchange is running)',
  crowded: '(too many exchanges)',
  called_off: '(all sessions were dropped)',
  full: '(limit reached)',
  machine: '(error of this machine)',
};

const KINDS = {
  '': () => true,
  receipt: (event) => event.receipt !== null,
  session: (event) => event.event.startsWith('session_'),
  refused: (event) => event.event.endsWith('_refused'),
};

let events = [];
let page = 0;
let showPage = () => {};

export function start() {
  receipt.start();
  showPage = pager('activity-pager', toPage);
  byId('activity-filter').addEventListener('input', () => toPage(0));
  byId('activity-kind').addEventListener('change', () => toPage(0));
  byId('activity-save').addEventListener('click', () => save('rke-activity.json', `${JSON.stringify(events, null, 2)}\n`));
  setInterval(tick, 5000);
}

export function render(answer) {
  events = answer.events;
  write(byId('activity-count'), plural(events.length, 'event'));
  feed();
  draw();
  receipt.refresh(events);
}

const textOf = (event) => `${event.domain ?? ''} ${event.session ?? ''} ${event.event} ${event.detail ?? ''}`.toLowerCase();

function toPage(wanted) {
  page = Math.max(0, wanted);
  draw();
}

function draw() {
  const kind = KINDS[byId('activity-kind').value] ?? KINDS[''];
  const found = filtered(events.filter(kind), byId('activity-filter').value, textOf);
  const { at, last, rows } = pageOf(found, page);
  page = at;
  // Events do not change places, so the focus stays on the event that is being read: by its place among the buttons.
  const buttons = () => [...byId('activity-rows').querySelectorAll('button')];
  const focused = buttons().findIndex((button) => button === document.activeElement);
  const before = focused < 0 ? null : buttons()[focused].dataset.event;
  byId('activity-rows').replaceChildren(...rows.map(row));
  if (before !== null) buttons().find((button) => button.dataset.event === before)?.focus({ preventScroll: true });
  show(byId('activity-table'), rows.length > 0);
  show(byId('activity-none'), events.length > 0 && rows.length === 0);
  showPage(at, last, found.length);
}

// What happened, in a few words.
function what({ event, detail, count }) {
  const name = NAMES[event] ?? event.replaceAll('_', ' ');
  if (event === 'keys_forgotten') return `${plural(count, 'cached key')} removed`;
  if (event === 'request_refused') return `${plural(count, 'request')} rejected: ${reason(detail)}`;
  return detail === null ? name : `${name} ${DETAILS[detail] ?? `(${detail.replaceAll('_', ' ')})`}`;
}

function row(event) {
  const cell = (...children) => make('td', { role: 'cell' }, ...children);
  const [kind, text] = event.receipt === null ? [] : receipt.REMOTE[event.receipt.remote] ?? ['plain', event.receipt.remote];
  const open = event.receipt !== null && make('button', {
    class: 'button small', type: 'button', 'data-event': `${event.at} ${event.session}`,
    'aria-label': `Erasure receipt of the session with ${event.domain}, ${event.session}`, onclick: () => receipt.open(event),
  }, 'Receipt');
  return make('tr', { role: 'row', 'data-event': event.event },
    cell(moment(event)), cell(what(event)),
    cell(event.domain === null ? '' : make('span', { title: event.domain }, breakable(shortName(event.domain, LONGEST)))),
    cell(event.session === null ? '' : make('code', { class: 'quiet' }, event.session)),
    cell(text ? make('span', { class: `badge ${kind}` }, text) : ''), cell(open));
}

function moment({ at }) {
  return make('time', { datetime: at, title: at }, since(new Date(at), now()));
}

function feed() {
  const line = (event) => make('li', {}, moment(event), make('span', { class: 'what' }, what(event), event.domain === null ? null : [' ', make('span', { class: 'where' }, shortName(event.domain, 36))]),
    make('code', { class: 'feed-id' }, event.session ?? ''));
  byId('recent').replaceChildren(...events.slice(0, RECENT).map(line));
}

function tick() {
  for (const time of document.querySelectorAll('#activity-rows time, #recent time')) write(time, since(new Date(time.dateTime), now()));
}
