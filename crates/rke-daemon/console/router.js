// Which view is shown. The style sheet shows the one that the address names; this marks its link, follows with the focus,
// and closes what lies over the page.

import { byId, giveFocus } from './dom.js';

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
  addEventListener('resize', follow);
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

// How much of the row of links fades out at its right end.
const FADE = 40;

// Brings the current link into sight: sideways, where the navigation is a row; never the page.
function follow() {
  const link = document.querySelector('.nav a[aria-current]');
  const nav = link?.closest('nav');
  if (!nav) return;
  const end = link.offsetLeft + link.offsetWidth;
  if (link.offsetLeft >= nav.scrollLeft && end <= nav.scrollLeft + nav.clientWidth - FADE) return;
  nav.scrollTo({ left: link.offsetLeft - 48 });
}

function arrive(moved) {
  const view = current();
  for (const link of document.querySelectorAll('.nav a')) {
    const is = link.hash === `#${view}`;
    if (is) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  follow();
  if (moved) {
    for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
    if (location.hash === `#${view}`) {
      giveFocus(byId(view));
      scrollTo(0, 0);
    }
  }
  title(view);
}
