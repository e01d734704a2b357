// Asks before something is done that cannot be undone.

import { byId, make } from './dom.js';

// The second half of a double click lands on the dialog: it does not count. A key that is pressed there does: its click has no
// `detail`.
const GUARD = 400;

// Gives which choices were made, or `null` where the answer is no. Title and text may be pieces for `make`.
export function confirm({ title, text, yes, choices = [] }) {
  const dialog = byId('confirm');
  byId('confirm-title').replaceChildren(...[title].flat());
  byId('confirm-text').replaceChildren(...[text].flat());
  byId('confirm-yes').textContent = yes;
  const boxes = choices.map(({ name, checked }) => make('input', { type: 'checkbox', name, checked }));
  const labels = choices.map(({ label }, at) => make('label', { class: 'check' }, boxes[at], make('span', {}, label)));
  byId('confirm-choices').replaceChildren(...labels);
  dialog.showModal();
  byId('confirm-no').focus();
  const opened = performance.now();
  return new Promise((resolve) => {
    const listening = new AbortController();
    const { signal } = listening;
    const end = (answer) => {
      listening.abort();
      if (dialog.open) dialog.close();
      resolve(answer);
    };
    byId('confirm-no').addEventListener('click', () => end(null), { signal });
    dialog.addEventListener('close', () => end(null), { signal });
    byId('confirm-yes').addEventListener('click', ({ detail }) => {
      if (detail > 0 && performance.now() - opened < GUARD) return;
      end(Object.fromEntries(boxes.map((box) => [box.name, box.checked])));
    }, { signal });
  });
}
