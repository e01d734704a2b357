// Finds operations by what is written about them.

import { byId, show, write } from '/console/dom.js';

// Each operation as its element, its entry in the contents, and its text in lower case.
let known = [];

export function start(operations) {
  known = operations;
  const field = byId('search');
  field.addEventListener('input', () => find(field.value));
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    field.value = '';
    find('');
  });
  document.addEventListener('keydown', (event) => {
    const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
  find(field.value);
}

function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const { article, entry, text: about } of known) {
    const matches = words.every((word) => about.includes(word));
    found += matches;
    show(article, matches);
    show(entry, matches);
  }
  for (const part of document.querySelectorAll('[data-part]')) {
    show(part, part.querySelector('[data-operation]:not([hidden])') !== null);
  }
  for (const intro of document.querySelectorAll('[data-introduction]')) show(intro, words.length === 0);
  write(byId('found'), words.length === 0 ? '' : `${found} of ${known.length} operations`);
}
