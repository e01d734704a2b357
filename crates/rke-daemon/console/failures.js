// Why no session was opened, in words, and what to do about it.

import { make } from './dom.js';
import { list, span } from './words.js';

const isWallet = (body) => 'wallet_path' in body;

// Title and advice for a refusal, the first that fits.
const CASES = [
  [(status, body) => 'faults' in body, 'Too few RAIDAs answered',
    'Try again in a moment. If the same ones stay silent, see whether UDP gets out of this machine, and whether their operators know.'],
  [(status, body) => status === 403 && isWallet(body), 'The wallet lies in the wrong place',
    'The daemon takes wallets from one folder only. Move it there, or ask the operator.'],
  [(status, body) => isWallet(body), 'The wallet cannot be used',
    'Give the absolute path of the folder that has Bank and Fracked in it. It has to be readable for the daemon.'],
  [(status, body) => status === 403 && body.message.includes('know each other only weakly'), 'The ends would know each other only weakly',
    'Leave it, unless the daemon\u2019s operator accepts that for this domain. The message says how the daemon is told.'],
  [(status, body) => status === 403 && body.message.includes('weak (1-byte)'), 'Only a weak key can be made',
    'Leave it, unless the data may be public. If it may, the message says how the daemon is told.'],
  [(status) => status === 403, 'This may be another Content Server',
    'Ask the operator of the domain before you accept a change. The message says how to accept it.'],
  [(status) => status === 429, 'There is no place for another session',
    'Delete one that nobody needs any more, or wait until one ends.'],
  [(status, body) => status === 502 && body.message.startsWith('The key was not confirmed'), 'The Content Server did not confirm the key',
    'Nothing is cached. See whether the Content Server is up, then try again.'],
  [(status, body) => status === 502 && body.message.startsWith('Cannot agree on a key'), 'No key agreed with the Content Server',
    'Nothing is cached. See whether it is up and can be reached from the daemon\u2019s machine, then try again.'],
  [(status, body) => status === 502 && /shares are right|gave wrong shares/.test(body.message), 'Too many shares are wrong',
    'Nothing is cached. Try again. If it persists, tell the operator of the Content Server.'],
  [(status) => status === 502, 'DNS does not lead to a Content Server',
    'Check the spelling of the domain. On the daemon\u2019s machine, rke discover shows what DNS says.'],
  [(status) => status === 503, 'Somebody else is opening a session for this domain',
    'Try again in a few seconds.'],
  [(status) => status === 400, 'The request is not complete', 'Correct the field that the message names.'],
];

export function failure(error) {
  const { status, body } = error;
  if (!status) return notice('The daemon did not answer', error.message, 'See whether it is still running.');
  const found = CASES.find(([fits]) => fits(status, body));
  const [, title, advice] = found ?? [null, 'No session was opened', 'The daemon\u2019s log says more.'];
  return notice(title, `${error.message}.`, advice, faults(body));
}

function notice(title, message, advice, more = null) {
  return make('div', { class: 'notice bad' },
    make('strong', {}, title), make('p', {}, message), more, make('p', { class: 'advice' }, advice));
}

// Which RAIDAs failed, by what kept them.
function faults(body) {
  if (!body.faults) return null;
  const groups = new Map();
  for (const { raida, fault } of body.faults) groups.set(fault, [...(groups.get(fault) ?? []), raida]);
  const lines = [...groups].map(([fault, raidas]) => [make('dt', {}, fault), make('dd', {}, `RAIDA ${list(raidas)}`)]);
  return make('dl', { class: 'pairs' }, lines.flat());
}

export function full(max, next) {
  const wait = next === null ? '' : ` The next one ends in ${span(next / 1000)}.`;
  return `All ${max} places are taken. Delete a session to open another.${wait}`;
}
