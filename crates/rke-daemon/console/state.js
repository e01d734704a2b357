// What the title of the page says: how many sessions there are, and whether the daemon is away.

import { plural } from './words.js';

let sessions = null;
let away = false;

export function countSessions(count) {
  sessions = count;
  tell();
}

export function isAway(whether) {
  away = whether;
  tell();
}

function tell() {
  const what = away ? 'Daemon away' : sessions === null ? null : plural(sessions, 'session');
  document.title = [what, 'rke console'].filter((part) => part !== null).join(' – ');
}
