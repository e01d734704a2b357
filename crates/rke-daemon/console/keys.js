// The keys in the cache, which save later sessions the exchange.

import { ask } from './api.js';
import { confirm } from './confirm.js';
import { byId, make, reconcile, say, show, write } from './dom.js';
import { clock, plural } from './words.js';

let shown = [];

export function start() {
  byId('forget-all').addEventListener('click', () => forget(null));
}

export function render(keys) {
  shown = keys;
  reconcile(byId('key-rows'), keys, (key) => key.domain, create, update);
  show(byId('forget-all'), keys.length > 1);
  show(byId('key-empty'), keys.length === 0);
  write(byId('key-empty'), 'No key is cached. The next session of any domain asks the RAIDAs.');
  write(byId('figure-keys'), String(keys.length));
  write(byId('figure-keys-what'), keys.length === 1 ? 'cached key' : 'cached keys');
}

function create(key) {
  return make('li', { class: 'row key' },
    make('div', {}, make('strong', {}, key.domain), make('span', { class: 'key-what' }), make('span', { class: 'key-until' })),
    make('button', {
      class: 'button', type: 'button', 'aria-label': `Forget the key of ${key.domain}`, onclick: () => forget(key.domain),
    }, 'Forget'));
}

function update(row, key) {
  const weak = key.key_bits < 128;
  row.classList.toggle('weak', weak);
  write(row.querySelector('.key-what'), `${key.cs_id}, ${key.key_bits}-bit${weak ? ', weak' : ''}`);
  write(row.querySelector('.key-until'), `until ${clock(new Date(key.expires_at))}`);
}

async function forget(domain) {
  const choice = await confirm({
    title: domain === null ? `Forget all ${shown.length} cached keys?` : `Forget the key of ${domain}?`,
    text: 'Its file is overwritten and removed. Sessions that are open go on; the next one needs the RAIDAs again. This cannot be undone.',
    yes: domain === null ? 'Forget all' : 'Forget key',
  });
  if (choice === null) return;
  try {
    const { deleted } = await ask('DELETE', 'keys', domain === null ? {} : { domain });
    say(`${plural(deleted, 'key')} forgotten.`);
  } catch (error) {
    say(`Not forgotten: ${error.message}`);
  }
  byId('keys').focus();
}
