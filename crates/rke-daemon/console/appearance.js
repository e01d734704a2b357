// The theme: that of the system until somebody chooses another. Only a choice is kept, in the browser.

import { byId, show, write } from './dom.js';

const KEY = 'rke-theme';
const THEMES = ['system', 'light', 'dark'];

export function start() {
  const button = byId('theme');
  button.addEventListener('click', () => {
    const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    document.documentElement.dataset.theme = next;
    if (next === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
    tell();
  });
  show(button, true);
  tell();
}

const current = () => document.documentElement.dataset.theme;

function tell() {
  const name = `Theme: ${current()}`;
  write(byId('theme-name'), name);
  byId('theme').title = name;
}
