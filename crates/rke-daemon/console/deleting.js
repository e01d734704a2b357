// Ends sessions, after a question, and shows the state of their keys.

import { ask, Refused } from './api.js';
import { confirm } from './confirm.js';
import { say } from './dom.js';
import { sayFailure } from './failures.js';
import { breakable, bytes, names, number, plural, shortId } from './words.js';

// Whether a session was ended.
export async function deleteOne(session) {
  const choices = await confirm({
    title: ['Delete the session with ', ...breakable(session.domain), '?'],
    text: `Applications that use ${shortId(session.session_id)}… get an error from then on. ${session.key_bits < 128
      ? 'The key is wiped here. It has 8 bits, so anyone who saw the exchange can find it again.'
      : 'The key is wiped here and at the Content Server and cannot be made again: what was encrypted with it stays unreadable.'}`,
    yes: 'Delete session',
    choices: [
      { name: 'verify', label: 'Scan memory for the key afterwards', checked: true },
      { name: 'everywhere', label: 'Wait up to 5 seconds for the Content Server to wipe its copy', checked: true },
      { name: 'forget', label: 'Also remove the cached keys of this domain', checked: false },
    ],
  });
  if (choices === null) return false;
  return attempt(async () => {
    const done = await remove(session.session_id, choices);
    say(`Session deleted.${receipt(done.wipe)}${REMOTE[done.remote] ?? ''}`);
  });
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
  forgotten: ' The Content Server has wiped its copy too.',
  pending: ' The Content Server has not yet proven that it has wiped its copy; the daemon keeps asking.',
  unsupported: ' The Content Server keeps its copy of an 8-bit key until that expires.',
};

function receipt(wipe) {
  if (!wipe) return ' Its key is wiped.';
  if (wipe.hits > 0) return ` Its key is wiped. ${plural(wipe.hits, 'scratch stack')} ${wipe.hits === 1 ? 'was' : 'were'} wiped late. This is a bug in rke: please report it.`;
  return ` Its key is wiped: ${bytes(wipe.scanned_bytes)} scanned, nothing left.`;
}

// Whether all sessions were ended, of which `weak` have keys of 8 bits.
export async function deleteAll(sessions, weak) {
  const count = sessions.length;
  const domains = [...new Set(sessions.map((session) => session.domain))];
  const named = domains.length > 4 ? [...domains.slice(0, 3), `${number(domains.length - 3)} more`] : domains;
  const choices = await confirm({
    title: count === 1 ? 'Delete the only session?' : `Delete all ${number(count)} sessions?`,
    text: ['Applications that use them (', ...names(named), ') get an error from then on. Their keys are wiped here and at the Content Servers and cannot be made again: what was encrypted with them stays unreadable.',
      weak > 0 ? ' Except keys of 8 bits: these are wiped here, and anyone who saw the exchange can find them again.' : ''],
    yes: `Delete ${plural(count, 'session')}`,
    choices: [{ name: 'forget', label: 'Also remove all cached keys', checked: false }],
  });
  if (choices === null) return false;
  return attempt(async () => {
    const { deleted } = await ask('DELETE', 'sessions', choices);
    say(`${plural(deleted, 'session')} deleted, their keys wiped.`);
  });
}

async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    const gone = error instanceof Refused && error.status === 404;
    if (gone) say('The session had already ended.');
    else sayFailure('Not deleted', error);
    return gone;
  }
}
