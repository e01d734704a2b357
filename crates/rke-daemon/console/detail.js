// One session in a panel: all that the daemon knows of it, to copy, and what can be done with it.

import { ask } from './api.js';
import { byId, copyButton, giveFocus, make, show, write } from './dom.js';
import * as tryit from './tryit.js';
import { breakable, exactly, list, plural, raidaNames } from './words.js';

const RAIDAS = 25;

let shown = null;
let opener = null;

export function start({ renew, remove }) {
  byId('session-renew').addEventListener('click', () => renew(shown.session_id));
  byId('session-delete').addEventListener('click', () => remove(shown));
  byId('session-try').addEventListener('click', encrypt);
  byId('session').addEventListener('close', () => {
    shown = null;
    if (opener?.isConnected) giveFocus(opener);
  });
}

export async function open(session, from, withTry = false) {
  shown = session;
  opener = from;
  byId('session-title').replaceChildren(...breakable(session.domain));
  byId('session-warnings').replaceChildren();
  byId('session-facts').replaceChildren(make('dt', {}, 'Session id'), fact(session.session_id, 'session id'));
  byId('session-raidas').replaceChildren();
  write(byId('session-shares'), '');
  show(byId('try'), false);
  enable(true);
  tryit.choose(session.session_id);
  byId('session').showModal();
  if (withTry) encrypt();
  await load();
}

export function close() {
  opener = null;
  byId('session').close();
}

// Keeps up with the daemon while the panel is open. `alive` has the ids of all sessions.
export function refresh(alive) {
  if (!shown) return;
  if (alive.has(shown.session_id)) load();
  else ended();
}

async function load() {
  const { session_id: id } = shown;
  try {
    const known = await ask('GET', `session/${id}`);
    if (shown?.session_id === id) render(known);
  } catch (error) {
    if (shown?.session_id === id && error.status === 404) ended();
  }
}

function ended() {
  enable(false);
  byId('session-warnings').replaceChildren(make('p', { class: 'notice' }, 'This session has ended, and its key is wiped. ', make('a', { href: '#activity' }, 'Activity'), ' has its erasure receipt.'));
}

function enable(whether) {
  for (const name of ['renew', 'delete', 'try']) byId(`session-${name}`).disabled = !whether;
}

function encrypt() {
  show(byId('try'), true);
  byId('try').scrollIntoView({ block: 'nearest' });
  byId('try-text').focus();
}

function fact(value, copied = null) {
  return make('dd', {}, make('span', {}, copied === null ? value : make('code', {}, breakable(value))), copied === null ? null : copyButton(value, copied));
}

const AUTHENTICATED = {
  strong: 'Strongly, by 32-byte shares',
  weak: 'Weakly, by 1-byte shares',
  no: 'No: the key has 8 bits',
};

const yes = (whether) => (whether ? 'Yes' : 'No');

// Where the key comes from. A key of 8 bits is itself in the cache; any other is made for its session.
function origin({ from_cache: cached, key_bits: bits, raidas }) {
  if (!cached) return `made with the shares of ${plural(raidas.length, 'RAIDA')}`;
  const made = bits < 128 ? 'an earlier exchange left this key' : 'this session\u2019s own key was derived with the secret that an earlier exchange left';
  return `from the cache: no RAIDA was asked; ${made}`;
}

// Name, value, and what a button copies.
const factsOf = (known) => [
  ['Session id', known.session_id, 'session id'],
  ['Domain', known.domain, 'domain'],
  ['Content Server ID', known.cs_id, 'Content Server ID'],
  ['Key id', known.key_id ?? 'None', known.key_id === null ? null : 'key id'],
  ['Proven coin', known.coin ?? 'None', known.coin === null ? null : 'coin'],
  ['Opened', exactly(new Date(known.created_at))],
  ['Expires', exactly(new Date(known.expires_at))],
  ['Used', `${plural(known.encrypt_count, 'encryption')}, ${plural(known.decrypt_count, 'decryption')}`],
  ['Key', `${known.key_bits} bits, ${origin(known)}`],
  ['Authenticated', AUTHENTICATED[known.authenticated] ?? known.authenticated],
  ['Confirmed', known.confirmed ? 'Yes, the Content Server has the same key' : 'No'],
  ['Forward secret', yes(known.forward_secret)],
  ['Envelope types', list(known.envelope.map(String)) || 'None'],
  ...(known.tunnel_broken_off === null ? [] : [['Last tunnel', known.tunnel_broken_off]]),
  ...(known.key_gone ? [['Key gone', 'The Content Server says that it no longer has the key: open a new session']] : []),
];

function render(known) {
  const facts = factsOf(known).flatMap(([name, value, copied = null]) => [make('dt', {}, name), fact(value, copied)]);
  // Rebuilt only where something is new, so that focus and selection stay.
  const key = JSON.stringify(known);
  const place = byId('session-facts');
  if (place.dataset.known === key && place.children.length > 2) return;
  place.dataset.known = key;
  place.replaceChildren(...facts);
  byId('session-warnings').replaceChildren(...warnings(known));
  drawRaidas(known);
}

function drawRaidas({ raidas, liars, from_cache: cached }) {
  const cell = (raida) => make('span', { title: `RAIDA ${raida}`, 'data-state': liars.includes(raida) ? 'lying' : raidas.includes(raida) ? 'used' : null });
  const all = Array.from({ length: RAIDAS }, (_, raida) => raida);
  byId('session-raidas').replaceChildren(...all.map(cell));
  const none = all.filter((raida) => !raidas.includes(raida) && !liars.includes(raida));
  write(byId('session-shares'), [
    `${raidas.length} of ${RAIDAS} shares were used${cached ? ' in that earlier exchange' : ''}.`,
    liars.length > 0 ? `Left out as wrong: ${raidaNames(liars)}.` : null,
    none.length > 0 ? `Not used: ${raidaNames(none)}.` : null,
  ].filter((part) => part !== null).join(' '));
}

// What is not as it should be, as badges.
export function state(known) {
  const weak = known.key_bits < 128;
  return [
    ...(weak ? [['loud', `Weak: ${known.key_bits}-bit key`]] : []),
    ...(weak && !known.confirmed ? [['doubt', 'Not confirmed']] : []),
    ...(known.authenticated === 'weak' ? [['doubt', 'Weakly authenticated']] : []),
    ...(known.liars.length > 0 ? [['doubt', `${plural(known.liars.length, 'wrong share')} left out`]] : []),
  ];
}

function warnings(known) {
  const notice = (kind, text, help) => make('p', { class: `notice ${kind}` }, `${text} `, make('a', { href: help }, 'Help'));
  const found = [];
  if (known.key_bits < 128) found.push(notice('bad', `Anyone who saw the exchange finds this key in 256 tries. Sessions from the cache share it.${known.confirmed ? '' : ' The Content Server has not shown that it has it.'}`, '#help-weak'));
  if (known.authenticated === 'weak') found.push(notice('doubt', 'The ends know each other by 1-byte shares: anyone with a coin who was in the middle when the key was made may have posed as either end.', '#help-weak'));
  if (known.liars.length > 0) found.push(notice('doubt', `${raidaNames(known.liars)} gave ${known.liars.length === 1 ? 'a wrong share, which was' : 'wrong shares, which were'} left out.`, '#help-shares'));
  return found;
}
