// How keys are protected on this machine, and which of the daemon's promises do not hold.

import { now } from './api.js';
import { banner } from './banners.js';
import { byId, make, show, write } from './dom.js';
import { bytes, number, plural, span } from './words.js';

const KINDS = {
  secretmem: 'In memory that only the daemon sees: not even root reads it from outside, and it is never written to swap or a core dump.',
  locked: 'In locked memory: never in swap or a core dump. Root can read it, because this system has no memfd_secret or locked memory was asked for.',
  none: 'No key has been held yet.',
};

const MEMORY = { secretmem: 'hidden, even from root', locked: 'locked', none: 'not in use yet' };

const FILES = {
  reads_and_writes: 'reads and writes only in its own folders',
  writes: 'writes only in its own folders, reads everywhere',
  off: 'reads and writes everywhere',
};

// How long a deletion may take at the other end before it is worth a banner.
const PATIENCE = 5000;

let pendingSince = null;
let pending = 0;

export function start() {
  setInterval(warnPending, 1000);
}

const pairs = (rows) => rows.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]);

export function render(status) {
  memory(status.secret_memory, status.config.weak_shares_allowed);
  sandbox(status.sandbox);
  deletions(status.remote_deletions);
  running(status);
  byId('summary').replaceChildren(...pairs([
    ['memory', MEMORY[status.secret_memory.kind] ?? status.secret_memory.kind],
    ['debuggers', debuggers(status.secret_memory)],
    ['sandbox', isWhole(status.sandbox) ? 'on' : 'incomplete'],
    ['wiped at both ends', number(status.remote_deletions.confirmed)],
  ]));
}

const debuggers = ({ inspection }) => (inspection === 'refused' ? 'cannot attach' : 'can attach');

function memory(held, weakDomains) {
  write(byId('memory-kind'), KINDS[held.kind] ?? held.kind);
  byId('memory-facts').replaceChildren(...pairs([
    ['debuggers', debuggers(held)],
    ['secrets held', `${number(held.slots_used)}, room for ${number(held.slots)}`],
    ['set aside', bytes(held.bytes)],
    ['residues', held.residues_found === 0 ? 'none found' : number(held.residues_found)],
    ['weak shares allowed for', weakDomains.length === 0 ? 'no domain' : weakDomains.join(', ')],
  ]));
  const residues = held.residues_found > 0 ? `Residues found: ${plural(held.residues_found, 'scratch stack')} had not been wiped at once, and ${held.residues_found === 1 ? 'is' : 'are'} now. This is a bug in rke: please report it.` : null;
  const debug = held.inspection === 'allowed' ? 'Insecure debugging is on: debuggers and core dumps can read every key.' : null;
  banner('residues', residues && { kind: 'bad', text: residues, href: '#help-residues', link: 'Help' });
  banner('debug', debug && { kind: 'bad', text: debug, href: '#help-debug', link: 'Help' });
  const alarm = [residues, debug].filter((text) => text !== null).join(' ');
  write(byId('memory-alarm'), alarm);
  show(byId('memory-alarm'), alarm !== '');
}

const isWhole = ({ landlock, seccomp, no_new_privs: privileges }) => landlock !== 'off' && seccomp && privileges;

function sandbox(posture) {
  const whole = isWhole(posture);
  write(byId('sandbox-kind'), whole
    ? 'A daemon that is taken over starts no program, and writes in its own folders only.'
    : 'A daemon that is taken over can do what its user can, except what the kernel prevents below.');
  byId('sandbox-facts').replaceChildren(...pairs([
    ['files', FILES[posture.landlock] ?? posture.landlock],
    ['system calls', posture.seccomp ? 'only those that it needs' : 'all'],
    ['new privileges', posture.no_new_privs ? 'impossible' : 'possible'],
  ]));
  const off = posture.landlock === 'off' && !posture.seccomp && !posture.no_new_privs;
  const text = off ? 'The sandbox is off.' : `The sandbox is incomplete: the daemon ${posture.landlock === 'off' ? 'uses files everywhere' : posture.seccomp ? 'can gain privileges' : 'can make all system calls'}.`;
  banner('sandbox', whole ? null : { kind: 'doubt', text, href: '#help-sandbox', link: 'Help' });
}

function deletions(remote) {
  pending = remote.pending;
  if (pending === 0) pendingSince = null;
  else pendingSince ??= Date.now();
  write(byId('deletions-lead'), pending === 0
    ? 'When a session ends, its key is wiped here first and then at the Content Server, which proves it.'
    : `${plural(pending, 'deletion')} pending: the daemon goes on asking until it has the proof or the key\u2019s lifetime is over.`);
  byId('deletions-facts').replaceChildren(...pairs([
    ['proven', number(remote.confirmed)], ['pending', number(pending)],
  ]));
  warnPending();
}

function warnPending() {
  const late = pendingSince !== null && Date.now() - pendingSince >= PATIENCE;
  const text = `${plural(pending, 'pending deletion')}: the keys are wiped here, but Content Servers have not proven that they have wiped their copies.`;
  banner('pending', late ? { kind: 'doubt', text, href: '#help-pending', link: 'Help' } : null);
}

function running({ daemon, config }) {
  write(byId('version'), `v${config.version}`);
  const tell = () => write(byId('uptime'), `up ${span((now() - Date.parse(daemon.started_at)) / 1000)}`);
  tell();
  clearInterval(running.timer);
  running.timer = setInterval(tell, 1000);
}
