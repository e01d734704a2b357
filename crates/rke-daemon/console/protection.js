// How keys are protected on this machine, and which of the daemon's promises do not hold.

import { now } from './api.js';
import { banner } from './banners.js';
import { byId, make, show, write } from './dom.js';
import { bytes, number, plural, span } from './words.js';

const KINDS = {
  secretmem: 'Keys are in memory that only the daemon can read: root cannot read it from outside, and it is never written to swap or a core dump.',
  locked: 'Keys are in locked memory: never in swap or a core dump. Root can read it, because this system has no memfd_secret or locked memory was requested.',
  none: 'The daemon has not held a key yet.',
};

const MEMORY = { secretmem: 'Hidden, even from root', locked: 'Locked', none: 'Not in use yet' };

const FILES = {
  reads_and_writes: 'Reads and writes only in its own folders',
  writes: 'Writes only in its own folders, reads everywhere',
  off: 'Reads and writes everywhere',
};

// How long a deletion may take at the other end before it is worth a banner.
const PATIENCE = 5000;

let pendingSince = null;
let pending = 0;

export function start() {
  setInterval(warnPending, 1000);
}

// `kind` colours what is not as it should be.
const pairs = (rows) => rows.flatMap(([name, value, kind = null]) => [make('dt', {}, name), make('dd', { class: kind }, value)]);

export function render(status) {
  memory(status.secret_memory, status.config.weak_shares_allowed, status.exports);
  peers(status.etsi_peers);
  sandbox(status.sandbox);
  deletions(status.remote_deletions);
  running(status);
  byId('summary').replaceChildren(...pairs([
    ['Memory', MEMORY[status.secret_memory.kind] ?? status.secret_memory.kind],
    debuggers(status.secret_memory),
    isWhole(status.sandbox) ? ['Sandbox', 'On'] : ['Sandbox', isOff(status.sandbox) ? 'Off' : 'Incomplete', 'doubtful'],
    ['Wiped at both ends', number(status.remote_deletions.confirmed)],
  ]));
}

const debuggers = ({ inspection }) => (inspection === 'refused' ? ['Debuggers', 'Cannot attach'] : ['Debuggers', 'Can attach', 'alarming']);

function memory(held, weakDomains, exports) {
  write(byId('memory-kind'), KINDS[held.kind] ?? held.kind);
  byId('memory-facts').replaceChildren(...pairs([
    debuggers(held),
    ['Secrets held', `${number(held.slots_used)} of ${number(held.slots)}`],
    ['Memory reserved', bytes(held.bytes)],
    held.residues_found === 0 ? ['Residues', 'None found'] : ['Residues', number(held.residues_found), 'alarming'],
    ['Weak shares allowed for', weakDomains.length === 0 ? 'No domain' : weakDomains.join(', ')],
    ['Keys may leave with', exports.allowed.length === 0 ? 'No label' : exports.allowed.join(', ')],
    ['Keys exported', number(exports.count)],
  ]));
  const residues = held.residues_found > 0 ? `Residues found: ${plural(held.residues_found, 'scratch stack')} ${held.residues_found === 1 ? 'was' : 'were'} wiped late. This is a bug in rke: please report it.` : null;
  const debug = held.inspection === 'allowed' ? 'Insecure debugging is on: debuggers and core dumps can read every key.' : null;
  banner('residues', residues && { kind: 'bad', text: residues, href: '#help-residues', link: 'Help' });
  banner('debug', debug && { kind: 'bad', text: debug, href: '#help-debug', link: 'Help' });
  const alarm = [residues, debug].filter((text) => text !== null).join(' ');
  write(byId('memory-alarm'), alarm);
  show(byId('memory-alarm'), alarm !== '');
}

function peers(list) {
  show(byId('peers'), list.length > 0);
  byId('peers-facts').replaceChildren(...pairs(list.map(({ sae_id: sae, domain, keys_ready: ready }) => (
    [`${sae} at ${domain}`, ready === 0 ? 'No session' : `${plural(ready, 'key')} ready`, ready === 0 ? 'doubtful' : null]))));
}

const isOff = ({ landlock, seccomp, no_new_privs: privileges }) => landlock === 'off' && !seccomp && !privileges;

const isWhole = ({ landlock, seccomp, no_new_privs: privileges }) => landlock !== 'off' && seccomp && privileges;

function sandbox(posture) {
  const whole = isWhole(posture);
  write(byId('sandbox-kind'), whole
    ? 'An attacker who takes over the daemon can start no program, and write only in its own folders.'
    : `An attacker who takes over the daemon can do whatever its user can${isOff(posture) ? '.' : ', except what the kernel prevents:'}`);
  byId('sandbox-facts').replaceChildren(...pairs([
    ['Files', FILES[posture.landlock] ?? posture.landlock, posture.landlock === 'off' ? 'doubtful' : null],
    ['System calls', posture.seccomp ? 'Only those that it needs' : 'All', posture.seccomp ? null : 'doubtful'],
    ['New privileges', posture.no_new_privs ? 'Impossible' : 'Possible', posture.no_new_privs ? null : 'doubtful'],
  ]));
  const gap = posture.landlock === 'off' ? 'read and write files everywhere' : posture.seccomp ? 'gain privileges' : 'make all system calls';
  const text = isOff(posture) ? 'The sandbox is off: an attacker who takes over the daemon can do whatever its user can.' : `The sandbox is incomplete: the daemon can ${gap}.`;
  banner('sandbox', whole ? null : { kind: 'doubt', text, href: '#help-sandbox', link: 'Help' });
}

function deletions(remote) {
  pending = remote.pending;
  if (pending === 0) pendingSince = null;
  else pendingSince ??= Date.now();
  write(byId('deletions-lead'), pending === 0
    ? 'When a session ends, its key is wiped here first and then at the Content Server, which proves it.'
    : `${plural(pending, 'deletion')} pending: the daemon keeps asking until it has the proof or the key\u2019s lifetime is over.`);
  byId('deletions-facts').replaceChildren(...pairs([
    ['Proven', number(remote.confirmed)], ['Pending', number(pending), pending > 0 ? 'doubtful' : null],
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
