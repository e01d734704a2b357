// What is true of every request, said once: the document's description, authentication, and the errors that each can have.

import { make } from '/console/dom.js';
import { line, prose } from './prose.js';
import { json, resolve, scrolled } from './schema.js';

export const METHODS = ['get', 'post', 'delete'];

// The operations of the document, in its order.
export const operations = (document) => Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method]).map((method) => ({ path, method, ...item[method] })));

export function introduction(document) {
  return [
    card('about', 'Every request', ...prose(document.info.description)),
    card('authentication', 'Authentication', ...Object.values(document.components.securitySchemes).flatMap((scheme) => prose(scheme.description))),
    card('errors', 'Errors of every request', ...errors(document)),
  ];
}

const card = (id, title, ...content) => make('section', { class: 'card', id, 'data-introduction': true, 'aria-labelledby': `${id}-title` },
  make('h2', { id: `${id}-title` }, title), ...content);

// The document has them in one place, and each operation refers to them.
export const isShared = (response) => response.$ref !== undefined;

function errors(document) {
  const shared = new Map(operations(document).flatMap(({ responses }) =>
    Object.entries(responses).filter(([, response]) => isShared(response)).map(([code, response]) => [code, resolve(document, response)])));
  const row = ([code, { description }]) => make('tr', {},
    make('th', { scope: 'row' }, make('span', { class: `code-${code[0]}` }, code)), make('td', {}, line(description)));
  const rows = [...shared].sort(([one], [other]) => one - other).map(row);
  const example = [...shared.values()].flatMap(({ content }) => Object.values(content ?? {})).find((media) => media.example);
  return [
    make('p', {}, 'An operation below lists only what it adds to these.'),
    scrolled(make('table', { class: 'fields' }, make('tbody', {}, rows)), 'Errors'),
    example ? make('pre', { tabindex: '0', 'aria-label': 'Body of an error' }, json(example.example)) : null,
  ];
}
