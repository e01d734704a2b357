// What the cache keeps, for each domain and set of coins: it opens later sessions without asking the RAIDAs.

import { ask } from './api.js';
import { confirm } from './confirm.js';
import { byId, make, reconcile, say, show, write } from './dom.js';
import { clock, list, plural } from './words.js';

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
  show(byId('key-empty'), keys.length === 0);
  write(byId('key-empty'), 'No key is cached. The next session of any domain asks the RAIDAs.');
  write(byId('figure-keys'), String(keys.length));
  write(byId('figure-keys-what'), keys.length === 1 ? 'cached key' : 'cached keys');
}

function create(key) {
  return make('li', { class: 'row key' },
    make('div', {}, make('strong', {}, key.domain), make('span', { class: 'key-what' }), make('span', { class: 'key-coins' }), make('span', { class: 'key-until' })),
    make('button', {
      class: 'button', type: 'button', 'aria-label': `Remove what is cached for ${key.domain}`, onclick: () => forget(key.domain),
    }, 'Remove'));
}

function update(row, key) {
  const weak = key.key_bits < 128;
  row.classList.toggle('weak', weak);
  write(row.querySelector('.key-what'), `${key.cs_id}, ${key.key_bits}-bit${weak ? ', weak' : ''}`);
  write(row.querySelector('.key-coins'), coins(key.coins));
  write(row.querySelector('.key-until'), `until ${clock(new Date(key.expires_at))}`);
}

function coins(all) {
  const more = all.length - MOST_COINS;
  const named = more > 1 ? [...all.slice(0, MOST_COINS), `${more} more`] : all;
  return `for wallets with ${all.length === 1 ? 'coin' : 'coins'} ${list(named)}`;
}

async function forget(domain) {
  const choice = await confirm({
    title: domain === null ? `Remove all ${shown.length} cached keys?` : `Remove what is cached for ${domain}?`,
    text: 'Its file is overwritten and removed. Open sessions go on, each with a key of its own; the next session asks the RAIDAs again. This cannot be undone.',
    yes: domain === null ? 'Remove all' : 'Remove',
  });
  if (choice === null) return;
  try {
    const { deleted } = await ask('DELETE', 'keys', domain === null ? {} : { domain });
    say(`${plural(deleted, 'cached key')} removed.`);
  } catch (error) {
    say(`Not removed: ${error.message}`);
  }
  byId('keys').focus();
}
