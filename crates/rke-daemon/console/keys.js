// What the cache keeps, for each domain and set of coins: it opens later sessions without asking the RAIDAs.

import { ask, now } from './api.js';
import { confirm } from './confirm.js';
import { byId, giveFocus, make, reconcile, say, show, write } from './dom.js';
import { sayFailure } from './failures.js';
import { breakable, clock, list, number, plural, shortName, until } from './words.js';

// How many coins are named; up to 25 have been shown to the RAIDAs.
const MOST_COINS = 3;

let shown = [];

export function start() {
  byId('forget-all').addEventListener('click', () => forget(null));
}

export function render(keys) {
  shown = keys;
  reconcile(byId('key-rows'), keys, (key) => `${key.domain} ${key.coins}`, create, update);
  show(byId('forget-all'), keys.length > 1);
  show(byId('key-table'), keys.length > 0);
  show(byId('key-empty'), keys.length === 0);
  write(byId('key-count'), number(keys.length));
  write(byId('figure-keys'), number(keys.length));
  const weak = keys.filter((key) => key.key_bits < 128).length;
  write(byId('figure-keys-more'), weak > 0 ? `${weak} weak` : 'for later sessions');
}

function create(key) {
  const cell = (name, ...children) => make('td', { role: 'cell', class: name }, ...children);
  return make('tr', { role: 'row', class: 'key' },
    cell('', make('strong', { title: key.domain }, shortName(key.domain))),
    cell('key-server', key.cs_id), cell('key-bits'), cell('key-coins'), cell('key-until'),
    cell('', make('button', {
      class: 'button small', type: 'button', 'aria-label': `Remove the cached keys of ${key.domain}`, onclick: () => forget(key.domain),
    }, 'Remove')));
}

function update(row, key) {
  const weak = key.key_bits < 128;
  const bits = row.querySelector('.key-bits');
  if (bits.textContent === '') bits.append(weak ? make('span', { class: 'badge loud' }, `Weak: ${key.key_bits}-bit`) : `${key.key_bits}-bit`);
  write(row.querySelector('.key-coins'), coins(key.coins));
  row.querySelector('.key-coins').title = list(key.coins);
  write(row.querySelector('.key-until'), until((Date.parse(key.expires_at) - now()) / 1000));
  row.querySelector('.key-until').title = clock(new Date(key.expires_at));
}

function coins(all) {
  const more = all.length - MOST_COINS;
  return more > 1 ? `${all.slice(0, MOST_COINS).join(', ')} and ${more} more` : list(all);
}

async function forget(domain) {
  const choice = await confirm({
    title: domain === null ? `Remove all ${shown.length} cached keys?` : ['Remove the cached keys of ', ...breakable(domain), '?'],
    text: 'Their files are overwritten and removed. Open sessions continue, each with a key of its own; the next session asks the RAIDAs again. This cannot be undone.',
    yes: domain === null ? 'Remove all' : 'Remove',
  });
  if (choice === null) return;
  try {
    const { deleted } = await ask('DELETE', 'keys', domain === null ? {} : { domain });
    say(`${plural(deleted, 'cached key')} removed.`);
  } catch (error) {
    sayFailure('Not removed', error);
  }
  giveFocus(byId('keys'));
}
