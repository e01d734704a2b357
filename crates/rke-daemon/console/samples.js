// A request as a command or a program makes it: one tab for each language. The language that was chosen last is shown
// for every request.

import { copy, make, write } from './dom.js';
import { LANGUAGES } from './languages.js';

const KEPT = 'rke-language';

const all = [];

let chosen = LANGUAGES.has(localStorage.getItem(KEPT)) ? localStorage.getItem(KEPT) : 'curl';

// An element, and what brings it in line with `request()`.
export function samples(id, request) {
  const code = make('pre', { id: `${id}-code`, tabindex: '0', role: 'tabpanel', 'aria-labelledby': `${id}-${chosen}` });
  const tabs = new Map([...LANGUAGES.keys()].map((name) => [name, make('button', {
    class: 'tab', type: 'button', role: 'tab', id: `${id}-${name}`, 'aria-controls': code.id,
    onclick: () => choose(name), onkeydown: (event) => move(event, name, tabs),
  }, name)]));
  const copying = make('button', { class: 'button small', type: 'button', onclick: () => copy(code.textContent, `${chosen} request`) }, 'Copy');
  const element = make('div', { class: 'samples' },
    make('div', { class: 'samples-head' }, make('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Language' }, [...tabs.values()]), copying), code);
  const update = () => {
    write(code, LANGUAGES.get(chosen)(request()));
    code.setAttribute('aria-labelledby', `${id}-${chosen}`);
    for (const [name, tab] of tabs) {
      tab.setAttribute('aria-selected', name === chosen);
      tab.tabIndex = name === chosen ? 0 : -1;
    }
  };
  all.push(update);
  return { element, update };
}

function choose(name) {
  chosen = name;
  localStorage.setItem(KEPT, name);
  for (const update of all) update();
}

function move(event, name, tabs) {
  const names = [...tabs.keys()];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const next = names[(names.indexOf(name) + step + names.length) % names.length];
  choose(next);
  tabs.get(next).focus();
}
