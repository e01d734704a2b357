// Which view is shown. The style sheet shows the one that the address names; this marks its link, follows with the focus,
// and closes what lies over the page.

import { byId } from './dom.js';

let title = () => {};

// `entered` is called with the name of each view that is shown.
export function start(entered) {
  title = entered;
  addEventListener('hashchange', () => arrive(true));
  byId('skip').addEventListener('click', (event) => {
    event.preventDefault();
    byId(current()).focus();
  });
  for (const dialog of document.querySelectorAll('dialog')) {
    dialog.addEventListener('click', (event) => {
      if (event.target === dialog || event.target.closest('[data-close]')) dialog.close();
    });
  }
  arrive(false);
}

// The view that is shown.
export function current() {
  const named = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
  return named?.closest('.view')?.id ?? 'overview';
}

// Goes to a view; done when it is shown and the focus is there.
export function go(view) {
  if (current() === view) return Promise.resolve();
  return new Promise((resolve) => {
    addEventListener('hashchange', resolve, { once: true });
    location.hash = view;
  });
}

function arrive(moved) {
  const view = current();
  for (const link of document.querySelectorAll('.nav a')) {
    const is = link.hash === `#${view}`;
    if (is) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
    // Sideways, where the navigation is a row; never the page.
    if (is) link.closest('nav').scrollTo({ left: link.offsetLeft - 48 });
  }
  if (moved) {
    for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
    if (location.hash === `#${view}`) {
      byId(view).focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }
  title(view);
}
