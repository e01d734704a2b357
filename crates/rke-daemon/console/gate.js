// Requests that were rejected: by which rule, and the last of them in words.

import { now } from './api.js';
import { byId, make, write } from './dom.js';
import { number, sentence, span } from './words.js';

const RULES = {
  size: ['too large', 'It was larger than any honest request.'],
  host: ['for another host name', 'It named another host than this daemon. A page whose name was made to point here looks like this; --allow-host lets an honest name in.'],
  origin: ['from a page that is not allowed', 'The page\u2019s origin is not allowed; --allow-origin lets an honest one in.'],
  prefetch: ['ahead of a click', 'The browser asked before anybody clicked.'],
  fetch: ['by an image, link, frame or form', 'Pages of other sites may use the daemon by a CORS fetch only.'],
  token: ['without the token', 'This daemon takes requests with its token only.'],
  header: ['without the X-RKE-Request header', 'It named a host of --allow-host over plain HTTP, where a browser does not say that a page asks.'],
  method: ['with a wrong method', 'The path does not have that method.'],
  session_rate: ['too many sessions at once', 'Sessions were opened faster than --create-rate and --create-burst allow.'],
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

// By which rule a request was rejected, in words.
export const reason = (rule) => RULES[rule]?.[0] ?? rule.replaceAll('_', ' ');

let last = null;

export function start() {
  setInterval(tellLast, 10000);
}

export function refusals({ total, rules, last: newest }) {
  last = newest;
  write(byId('figure-refused'), number(total));
  const rows = rules.map(({ rule, count }) => [make('dt', {}, sentence(reason(rule))), make('dd', {}, number(count))]);
  byId('gate-rules').replaceChildren(...rows.flat());
  tellLast();
}

function tellLast() {
  if (!last) {
    byId('gate-last').replaceChildren(make('p', { class: 'lead' }, 'No request has been rejected. Web pages of other sites, and programs without the token, would show here.'));
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
