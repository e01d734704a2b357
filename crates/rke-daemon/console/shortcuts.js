// Single keys, where nobody writes and nothing lies over the page.

import { byId } from './dom.js';
import { go } from './router.js';

const KEYS = {
  '/': () => go('sessions').then(() => byId('session-filter').focus()),
  n: () => byId('open-panel').click(),
  '?': () => byId('shortcuts').showModal(),
};

export function start() {
  addEventListener('keydown', (event) => {
    const action = KEYS[event.key];
    const elsewhere = event.target.closest?.('input, textarea, select, [role="menu"]') || document.querySelector('dialog[open]');
    if (!action || elsewhere || event.ctrlKey || event.metaKey || event.altKey || byId('console').inert) return;
    event.preventDefault();
    action();
  });
}
