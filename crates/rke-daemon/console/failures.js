// What went wrong, in words, and what to do about it; the help of the page and the book's page of errors say more.

import { make, say } from './dom.js';
import { breakable, faultName, number, raidaNames, sentence, span } from './words.js';

const isWallet = (body) => 'wallet_path' in body;

// Title, advice and help for a refusal, the first that fits.
const CASES = [
  [(status, body) => 'faults' in body, 'Too few RAIDAs answered',
    'Try again in a moment. If the same ones stay silent, check that UDP leaves this machine, and tell their operators.', '#help-raidas'],
  [(status, body) => status === 403 && isWallet(body), 'The wallet is in the wrong place',
    'The daemon takes wallets from one folder only. Move the wallet there, or ask the operator.', '#help-wallet-place'],
  [(status, body) => isWallet(body), 'The wallet cannot be used',
    'Give the absolute path of the folder that has Bank and Fracked in it. The daemon must be able to read it, and it must hold usable coins for 13 RAIDAs.', '#help-wallet'],
  [(status, body) => status === 403 && body.message.includes('know each other only weakly'), 'The session would be weakly authenticated',
    'The operator of the daemon decides whether that is enough for this domain.', '#help-weak'],
  [(status, body) => status === 403 && body.message.includes('weak (1-byte)'), 'Only a weak key can be made',
    'Accept that only if the data may be public.', '#help-weak'],
  [(status) => status === 403, 'This may be another Content Server',
    'Ask the operator of the domain before you accept a change.', '#help-changed'],
  [(status) => status === 429, 'No room for another session',
    'Delete a session that you no longer need, or wait until one expires.', '#help-full'],
  [(status, body) => status === 502 && body.message.startsWith('The key was not confirmed'), 'The Content Server did not confirm the key',
    'Nothing is cached. Check that the Content Server is up, then try again.', '#help-server'],
  [(status, body) => status === 502 && body.message.startsWith('Cannot agree on a key'), 'No key agreed with the Content Server',
    'Nothing is cached. Check that it is up and can be reached from the daemon\u2019s machine, then try again.', '#help-server'],
  [(status, body) => status === 502 && /shares are right|gave wrong shares/.test(body.message), 'Too many shares are wrong',
    'Nothing is cached. Try again. If it persists, tell the operator of the Content Server.', '#help-shares'],
  [(status) => status === 502, 'DNS does not lead to a Content Server',
    'Check the spelling of the domain. On the daemon\u2019s machine, `rke discover` shows what DNS says.', '#help-dns'],
  [(status) => status === 503, 'The daemon is busy',
    'The daemon makes one exchange for a domain at a time, and a limited number in total.', '#help-busy'],
  [(status) => status === 400, 'A field is missing or wrong', 'Correct the field that the message names.', '#help-request'],
];

// How long a failure is said. Its link has to be reached.
const FAILURE = 20000;

// What the book says about errors of this status, in a tab of its own: the page keeps what was typed.
export const errorHelp = ({ status }) => (status
  ? make('a', { class: 'together', href: `/book/errors.html#error-${status}`, target: '_blank' }, `Error ${status}`)
  : make('a', { href: '#help-daemon' }, 'Help'));

// Tells at the foot of the page that something was not done.
export function sayFailure(what, error) {
  say([`${what}: ${error.message}. `, errorHelp(error)], FAILURE);
}

// Why no session was opened.
export function failure(error) {
  const { status, body } = error;
  if (!status) return notice('The daemon did not respond', 'It may have opened the session all the same: if so, it is in the list.', ['Check that the daemon is still running. ', errorHelp(error)]);
  const found = CASES.find(([fits]) => fits(status, body));
  const [, title, advice, help = null] = found ?? [null, 'No session was opened', 'If it happens again, report it with that log.'];
  const page = help === null ? [] : [make('a', { href: help }, 'Help'), ' · '];
  return notice(title, `${error.message}.`, [...quoted(`${advice} `), make('span', { class: 'together' }, page, errorHelp(error))], faults(body));
}

// A text as pieces for `make`: what stands between backticks is a command, a flag stays in one line, and a name breaks after dots.
const quoted = (text) => text.split(/(`[^`]*`|--[a-z][a-z-]*|[\w-]+(?:\.[\w-]+)+)/).flatMap((part, at) => (at % 2 === 0 ? [part] : special(part)));

function special(text) {
  if (text.startsWith('`')) return [make('code', {}, text.slice(1, -1))];
  return text.startsWith('--') ? [make('code', { class: 'together' }, text)] : breakable(text);
}

function notice(title, message, advice, more = null) {
  return make('div', { class: 'notice bad' },
    make('strong', {}, title), make('p', {}, ...quoted(message)), more, make('p', { class: 'advice' }, advice));
}

// Which RAIDAs failed, by what kept them.
function faults(body) {
  if (!body.faults) return null;
  const groups = new Map();
  for (const { raida, fault } of body.faults) groups.set(fault, [...(groups.get(fault) ?? []), raida]);
  const lines = [...groups].map(([fault, raidas]) => [make('dt', {}, sentence(faultName(fault))), make('dd', {}, raidaNames(raidas))]);
  return make('dl', { class: 'pairs' }, lines.flat());
}

export function full(max, next) {
  const wait = next === null ? '' : ` The next expires in ${span(next / 1000)}.`;
  return `All ${number(max)} sessions are in use. Delete one to open another.${wait}`;
}
