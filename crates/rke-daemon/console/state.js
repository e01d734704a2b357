// What the title of the page says: how many sessions there are, and whether the daemon responds.

import { plural } from './words.js';

let sessions = null;
let responding = true;

export function countSessions(count) {
  sessions = count;
  tell();
}

export function isResponding(whether) {
  responding = whether;
  tell();
}

function tell() {
  const what = !responding ? 'Daemon not responding' : sessions === null ? null : plural(sessions, 'session');
  document.title = [what, 'rke console'].filter((part) => part !== null).join(' – ');
}
