// The erasure receipt of a session that has ended, to read, copy and keep.

import { byId, copy, copyButton, make, save, write } from './dom.js';
import { breakable, bytes, exactly, milliseconds, number } from './words.js';

const HOW = {
  request: 'Deleted by a request',
  request_for_all: 'Deleted together with others by a request',
  expiry: 'Expired, by its time or for want of use',
  drop: 'Dropped with all others, by a signal or after a sleep',
};

// The state of the key at the Content Server, in the table and in full.
export const REMOTE = {
  forgotten: ['plain', 'Wiped there too', 'Has proven that it has wiped its copy'],
  pending: ['doubt', 'Not confirmed yet', 'Has not proven yet that it has wiped its copy; the daemon keeps asking'],
  given_up: ['bad', 'Never confirmed', 'Never proved that it has wiped its copy, whose lifetime is over'],
  unsupported: ['plain', 'Cannot be asked', 'Keeps its copy of an 8-bit key until that expires'],
};

// What happened at the Content Server at the time that the receipt names.
const SETTLED = { forgotten: 'Proven', given_up: 'Given up' };

let shown = null;

export function start() {
  byId('receipt-copy').addEventListener('click', () => copy(text(), 'Receipt'));
  byId('receipt-save').addEventListener('click', () => save(`rke-receipt-${shown.session}.json`, text()));
}

const text = () => `${JSON.stringify(shown, null, 2)}\n`;

export function open(event) {
  render(event);
  byId('receipt').showModal();
}

// Keeps up with the daemon while the receipt is open: the memory scan and the proof come after the deletion.
export function refresh(events) {
  const same = (event) => event.receipt !== null && event.session === shown.session && event.at === shown.at;
  const now = byId('receipt').open && events.find(same);
  if (now) render(now);
}

// A key is gone for good once both ends have wiped it. One without a name has 8 bits, and anyone can find it again.
function lead({ wipe, key_id: keyId, remote }) {
  if (wipe?.hits > 0) return 'The key is wiped. The scan found memory that had not been wiped at once: a bug in rke, please report it.';
  if (keyId === null) return 'The session has ended and its key is wiped here. Anyone who saw its exchange can find a key of 8 bits again.';
  if (remote === 'forgotten') return 'The session has ended and its key is wiped at both ends. It cannot be made again.';
  return 'The session has ended and its key is wiped here.';
}

function render(event) {
  if (JSON.stringify(event) === JSON.stringify(shown)) return;
  shown = event;
  const { receipt, session, domain, at } = event;
  const { wipe } = receipt;
  write(byId('receipt-lead'), lead(receipt));
  const facts = [
    ['Session id', make('code', {}, `${session}…`), session],
    ['Domain', breakable(domain), domain],
    ['Ended', exactly(new Date(at))],
    ['How', HOW[receipt.how] ?? receipt.how],
    ['Key id', receipt.key_id === null ? 'None: the key has 8 bits' : make('code', {}, `${receipt.key_id}…`), receipt.key_id],
    ['Content Server', REMOTE[receipt.remote]?.[2] ?? receipt.remote],
    ...(receipt.remote_at === null ? [] : [[SETTLED[receipt.remote] ?? 'Settled', exactly(new Date(receipt.remote_at))]]),
    ['Memory scan', wipe === null ? 'Not requested' : `${bytes(wipe.scanned_bytes)}${wipe.machines > 1 ? ` on ${number(wipe.machines)} machines` : ''} in ${milliseconds(wipe.micros / 1000)}, ${wipe.hits === 0 ? 'nothing found' : `${number(wipe.hits)} found`}`],
  ];
  const row = ([name, value, copied = null]) => [make('dt', {}, name), make('dd', {}, make('span', {}, value), copied === null ? null : copyButton(copied, name.toLowerCase()))];
  byId('receipt-facts').replaceChildren(...facts.flatMap(row));
}
