// The menu of a row. There is one, which opens where it is wanted.

import { byId, giveFocus, make } from './dom.js';

// How far the page may move below an open menu.
const SLACK = 24;

let openedAt = 0;

// Opens the menu at a button: `[text, action, kind]` each.
export function openMenu(button, label, items) {
  const menu = byId('menu');
  const entries = items.map(([text, action, kind = '']) => make('button', {
    type: 'button', role: 'menuitem', tabindex: -1, class: kind,
    onclick: () => {
      menu.hidePopover();
      giveFocus(button);
      action();
    },
  }, text));
  menu.setAttribute('aria-label', label);
  menu.replaceChildren(...entries);
  menu.showPopover();
  openedAt = scrollY;
  const place = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const below = place.bottom + 4;
  menu.style.left = `${Math.max(8, place.right - width)}px`;
  menu.style.top = `${below + height > innerHeight ? Math.max(8, place.top - height - 4) : below}px`;
  menu.onkeydown = (event) => move(event, entries, button);
  entries[0].focus();
}

function move(event, entries, button) {
  const at = entries.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 }[event.key];
  if (event.key === 'Tab' || event.key === 'Escape') {
    event.preventDefault();
    byId('menu').hidePopover();
    giveFocus(button);
  }
  if (to === undefined) return;
  event.preventDefault();
  entries[(to + entries.length) % entries.length].focus();
}

// The menu stays where it was opened, so it goes when the page moves below it or has another width.
export function start() {
  const hide = () => Math.abs(scrollY - openedAt) > SLACK && byId('menu').hidePopover();
  addEventListener('scroll', hide, { passive: true });
  addEventListener('resize', () => byId('menu').hidePopover());
}
