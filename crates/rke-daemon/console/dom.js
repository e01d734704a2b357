// Makes elements. Text goes in as text; nothing here, or anywhere else, turns text into markup.

const SVG = 'http://www.w3.org/2000/svg';
const SVG_TAGS = new Set(['svg', 'circle', 'path', 'use']);

export const byId = (id) => document.getElementById(id);

// An element with attributes (or `on…` listeners) and children. `null` and `false` are left out.
export function make(tag, attributes = {}, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== false));
  return element;
}

// One of the icons that stand in the page.
export const icon = (name) => make('svg', { class: 'icon', 'aria-hidden': 'true' }, make('use', { href: `#i-${name}` }));

// A button that copies a text.
export function copyButton(text, what) {
  return make('button', { class: 'copy', type: 'button', 'aria-label': `Copy ${what}`, title: `Copy ${what}`, onclick: () => copy(text, what) }, icon('copy'));
}

// Has the browser save a text as a file.
export function save(name, text) {
  const href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  make('a', { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 1000);
}

// Sets a text only where it is another one: what has not changed is not announced again.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, whether) {
  element.hidden = !whether;
}

// What gets the focus once the page can be used again.
let awaiting = null;

// Gives an element the focus without moving the page. One that cannot be used at the moment gets it as soon as it can.
export function giveFocus(element) {
  if (element.closest('[inert]')) awaiting = element;
  else element.focus({ preventScroll: true });
}

// Puts a part of the page out of use, or back into use. Browsers take the focus away from what is out of use, and do not
// give it back: so this does.
export function suspend(part, whether) {
  if (part.inert === whether) return;
  const { activeElement: focused, body } = document;
  if (whether) awaiting = part.contains(focused) ? focused : null;
  part.inert = whether;
  if (whether) return;
  if (awaiting?.isConnected && focused === body) giveFocus(awaiting);
  awaiting = null;
}

// Brings the children of `list` in line with `items`, by key, without touching those that stay: focus
// and selection live on.
export function reconcile(list, items, keyOf, create, update) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, at) => {
    const key = String(keyOf(item));
    let child = known.get(key);
    known.delete(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    if (list.children[at] !== child) list.insertBefore(child, list.children[at] ?? null);
    update(child, item);
  });
  for (const child of known.values()) child.remove();
}

let saidTimer;

// Tells what has been done, at the foot of the page and to screen readers: a text, or texts and links.
export function say(what, time = 7000) {
  const said = byId('said');
  said.replaceChildren(...[what].flat());
  said.classList.add('shown');
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => said.classList.remove('shown'), time);
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied`);
  } catch {
    say('This browser does not let the page copy; select the text instead');
  }
}
