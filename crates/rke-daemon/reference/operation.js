// One operation: what it does, takes and answers, and a form to try it.

import { make } from '/console/dom.js';
import { isShared } from './introduction.js';
import { line, prose } from './prose.js';
import { json, kind, scrolled, table } from './schema.js';
import { tryIt } from './tryit.js';

export function operation(document, one) {
  const article = make('details', { class: 'card operation', id: one.operationId, 'data-operation': true }, make('summary', {},
    make('span', { class: `method ${one.method}` }, one.method.toUpperCase()),
    make('code', { class: 'path' }, one.path),
    make('span', { class: 'quiet' }, one.summary)));
  // Most operations are never opened.
  article.addEventListener('toggle', () => article.append(...parts(document, one)), { once: true });
  return article;
}

const parts = (document, one) => [
  ...prose(one.description),
  ...parameters(document, one.parameters ?? []),
  ...body(document, one.requestBody),
  ...tryIt(document, one),
  make('h3', {}, 'Responses'),
  make('ul', { class: 'answers' }, Object.entries(one.responses).filter(([, answer]) => !isShared(answer)).map(([code, answer]) => response(document, code, answer))),
  make('p', { class: 'quiet' }, 'And ', make('a', { href: '#errors' }, 'the errors of every request'), '.'),
];

function parameters(document, all) {
  if (all.length === 0) return [];
  const row = (one) => make('tr', {},
    make('th', { scope: 'row' }, make('code', {}, one.name)),
    make('td', { class: 'kind' }, `${kind(document, one.schema)} in ${one.in}`, one.required ? null : make('span', { class: 'quiet' }, ' optional')),
    make('td', {}, line(one.description)));
  const rows = make('table', { class: 'fields' }, make('tbody', {}, all.map(row)));
  return [make('h3', {}, 'Parameters'), scrolled(rows, 'Parameters')];
}

const body = (document, given) => (given ? [make('h3', {}, 'Body'), ...contents(document, given.content)] : []);

const contents = (document, content = {}) => Object.entries(content).map(([type, media]) => make('div', { class: 'media' },
  make('p', {}, make('code', {}, type)),
  media.schema ? table(document, media.schema) : null,
  media.example === undefined ? null : example(media.example)));

const example = (value) => make('pre', { tabindex: '0', 'aria-label': 'Example' }, typeof value === 'string' ? value : json(value));

function response(document, code, answer) {
  const headers = Object.entries(answer.headers ?? {}).map(([name, header]) =>
    make('p', {}, make('code', {}, name), ' ', line(header.description)));
  const summary = make('summary', {}, make('span', { class: `code-${code[0]}` }, code), ' ', line(answer.description));
  return make('li', {}, make('details', { open: code === '200' }, summary, advice(code), headers, contents(document, answer.content)));
}

// Where the book says what the errors of a status mean.
const advice = (code) => (code < '400' ? null : make('p', {}, make('a', { href: `/book/errors.html#error-${code}` }, 'What each message means, and what to do')));
