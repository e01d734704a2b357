// How keys are held on this machine, and who was refused at the gate.

import { now } from './api.js';
import { byId, make, show, write } from './dom.js';
import { bytes, number, span } from './words.js';

const KINDS = {
  secretmem: 'In memory that only the daemon sees: not even root reads it from outside, and it is never written to swap or a core dump.',
  locked: 'In locked memory: never in swap or a core dump. Root can read it, since this system has no memfd_secret or locked memory was asked for.',
  none: 'No key has been held yet.',
};

const RULES = {
  size: ['too large', 'It was larger than any honest request.'],
  host: ['for another host name', 'It named another host than this daemon. A page whose name was made to point here looks like this; --allow-host lets an honest name in.'],
  origin: ['from a page that is not allowed', 'The page\u2019s origin is not on the list; --allow-origin puts an honest one there.'],
  prefetch: ['ahead of a click', 'The browser asked before anybody clicked.'],
  fetch: ['by an image, link, frame or form', 'Pages of other sites may use the daemon by a CORS fetch only.'],
  token: ['without the token', 'This daemon wants its token with each request.'],
  method: ['with a wrong method', 'The path does not have that method.'],
  session_rate: ['too many sessions at once', 'Sessions were opened faster than any honest program does.'],
  receipt_rate: ['too many receipts at once', 'Deletions with a receipt are rationed. Without one they are not.'],
};

const ATTEMPTS = {
  open_session: 'open a session',
  renew_session: 'renew a session',
  delete_session: 'delete a session',
  delete_sessions: 'delete sessions',
  forget_keys: 'remove cached keys',
  use_key: 'use a session\u2019s key',
  tunnel: 'talk to a Content Server',
  read: 'read from the daemon',
  other: 'do something that the daemon does not do',
};

let last = null;

export function start() {
  setInterval(tellLast, 10000);
}

export function memory({ secret_memory: held, remote_deletions: remote }) {
  write(byId('memory-kind'), KINDS[held.kind] ?? held.kind);
  const pair = (name, value) => [make('dt', {}, name), make('dd', {}, value)];
  byId('memory-facts').replaceChildren(
    ...pair('debuggers', held.inspection === 'refused' ? 'refused' : 'let in'),
    ...pair('secrets held', `${number(held.slots_used)}, room for ${number(held.slots)}`),
    ...pair('set aside', bytes(held.bytes)),
    ...pair('scratch stacks not wiped', held.residues_found === 0 ? 'none found' : number(held.residues_found)),
    ...pair('deleted keys at Content Servers', `${number(remote.confirmed)} wiped too, ${number(remote.pending)} not confirmed yet`));
  const alarm = held.residues_found > 0
    ? 'Memory that keys had been used in was not wiped at once, and is now. This is a bug in rke: please report it.'
    : held.inspection === 'allowed' ? 'The daemon runs with --insecure-debug: debuggers and core dumps see every key.' : '';
  write(byId('memory-alarm'), alarm);
  show(byId('memory-alarm'), alarm !== '');
}

export function refusals({ total, rules, last: newest }) {
  last = newest;
  write(byId('figure-refused'), number(total));
  write(byId('figure-refused-what'), total === 1 ? 'request refused' : 'requests refused');
  const rows = rules.map(({ rule, count }) => [make('dt', {}, RULES[rule]?.[0] ?? rule), make('dd', {}, number(count))]);
  byId('gate-rules').replaceChildren(...rows.flat());
  tellLast();
}

function tellLast() {
  if (!last) {
    byId('gate-last').replaceChildren(make('p', {}, 'Nothing has been refused. Web pages of other sites, and programs without leave, would show here.'));
    return;
  }
  const ago = span((now() - Date.parse(last.at)) / 1000);
  byId('gate-last').replaceChildren(
    make('p', {}, make('strong', {}, `${who(last)} tried to ${ATTEMPTS[last.attempt] ?? last.attempt}`), `, ${ago} ago.`),
    make('p', { class: 'quiet' }, RULES[last.rule]?.[1] ?? ''));
}

function who({ rule, origin }) {
  if (origin === 'null') return 'A page without an origin';
  if (origin !== null) return `A page at ${origin}`;
  if (rule === 'fetch' || rule === 'prefetch') return 'A page of another site';
  return 'A program';
}

export function running({ daemon, config }) {
  write(byId('version'), `version ${config.version}`);
  const tell = () => write(byId('uptime'), `up ${span((now() - Date.parse(daemon.started_at)) / 1000)}`);
  tell();
  clearInterval(running.timer);
  running.timer = setInterval(tell, 1000);
}
