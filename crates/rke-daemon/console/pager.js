// The foot of a long list: which rows are shown, and ways to the others.

import { byId, icon, make, show, write } from './dom.js';
import { PER_PAGE } from './listing.js';
import { number } from './words.js';

// Gives a function that shows where one is. `turn` is called with the page that is wanted.
export function pager(id, turn) {
  const range = make('span', { 'aria-live': 'polite' });
  let at = 0;
  const button = (label, name, step) => make('button', { class: 'icon-button', type: 'button', 'aria-label': label, onclick: () => turn(at + step) }, icon(name));
  const [back, on] = [button('Previous page', 'left', -1), button('Next page', 'right', 1)];
  byId(id).append(range, back, on);
  return (page, last, total) => {
    at = page;
    show(byId(id), last > 0);
    back.disabled = page === 0;
    on.disabled = page === last;
    const first = page * PER_PAGE;
    write(range, `${number(first + 1)}–${number(Math.min(total, first + PER_PAGE))} of ${number(total)}`);
  };
}
