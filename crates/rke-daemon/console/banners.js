// What breaks a promise, across the top of every view.

import { byId, icon, make, reconcile, write } from './dom.js';

// The most serious first.
const ORDER = ['residues', 'debug', 'weak', 'raidas', 'weakly', 'sandbox', 'pending'];

const banners = new Map();

// Sets a banner, or takes it away where there is nothing to say: `{ kind, text, href, link }`.
export function banner(name, what) {
  if (what) banners.set(name, what);
  else banners.delete(name);
  const rows = ORDER.filter((name) => banners.has(name)).map((name) => ({ name, ...banners.get(name) }));
  reconcile(byId('banners'), rows, (row) => row.name, create, update);
}

function create() {
  return make('li', { class: 'banner' }, icon('alert'), make('p'), make('a'));
}

function update(row, { kind, text, href, link }) {
  row.className = `banner ${kind}`;
  write(row.querySelector('p'), text);
  const anchor = row.querySelector('a');
  anchor.href = href;
  write(anchor, link);
}
