// A form that makes a request and shows what comes back, as it comes. What one answer gives is proposed to
// the next request.

import { byId, make, show, write } from '/console/dom.js';
import { send } from './request.js';
import { samples } from '/console/samples.js';
import { json, kind, resolve } from './schema.js';

// As much of an answer is shown.
const SHOWN = 64 * 1024;

// Parameters that mean the same as a field of an answer.
const SAME = { id: 'session_id', 'X-RKE-Session': 'session_id', 'X-RKE-Nonce': 'nonce' };

const known = new Map();

// What brings the requests in code up to date.
const updates = [];

// Operations that end something for good. They take a second click.
const DESTROYS = /^(delete|forget)_/;

const meaning = (name) => SAME[name] ?? name;

// Proposes the texts of an answer where nobody has written anything else.
export function learn(answer) {
  for (const [name, value] of Object.entries(answer)) {
    if (typeof value === 'string') known.set(meaning(name), value);
  }
  for (const field of document.querySelectorAll('[data-meaning]')) {
    if (known.has(field.dataset.meaning) && field.dataset.touched === undefined) field.value = known.get(field.dataset.meaning);
  }
  for (const field of document.querySelectorAll('textarea[data-json]')) {
    if (field.dataset.touched === undefined) field.value = json(proposed(JSON.parse(field.value)));
  }
  for (const update of updates) update();
}

const proposed = (body) =>
  Object.fromEntries(Object.entries(body).map(([name, value]) => [name, known.get(meaning(name)) ?? value]));

export function tryIt(document, one) {
  const fields = (one.parameters ?? []).map((parameter) => field(document, one, parameter));
  const body = one.requestBody ? bodyField(one) : null;
  const request = () => build(one, fields, body);
  const code = samples(`code-${one.operationId}`, () => inCode(request()));
  const result = make('div', { class: 'answer', role: 'status' });
  const { buttons, confirmed, button, stop } = actions(one);
  const form = make('form', { class: 'try', onsubmit: (event) => event.preventDefault() },
    fields.map(({ element }) => element), body?.element ?? null, buttons, code.element);
  form.addEventListener('input', (event) => {
    event.target.dataset.touched = '';
    code.update();
  });
  updates.push(code.update);
  form.addEventListener('submit', () => confirmed() && run(request(), result, button, stop));
  code.update();
  return [make('h3', {}, 'Try it'), form, result];
}

const inCode = ({ method, target, headers, body }) => ({ method, url: location.origin + target, headers, body });

// Buttons, and what says whether a click is meant: one on an operation that ends something only asks.
function actions(one) {
  const isDestructive = DESTROYS.test(one.operationId);
  const button = make('button', { class: isDestructive ? 'button danger' : 'button primary', type: 'submit' }, isDestructive ? 'Send…' : 'Send');
  const stop = make('button', { class: 'button', type: 'button', hidden: true }, 'Stop');
  const keep = make('button', { class: 'button', type: 'button', hidden: true }, 'Cancel');
  const warning = make('p', { class: 'warning', role: 'status' });
  const arm = (armed) => {
    button.classList.toggle('solid', armed);
    write(button, armed ? 'Yes, send it' : 'Send…');
    write(warning, armed ? 'What this ends cannot be brought back. Send it?' : '');
    show(keep, armed);
  };
  keep.addEventListener('click', () => {
    arm(false);
    button.focus();
  });
  const confirmed = () => {
    if (!isDestructive) return true;
    const isArmed = button.classList.contains('solid');
    arm(!isArmed);
    return isArmed;
  };
  return { buttons: make('div', { class: 'buttons' }, button, keep, stop, warning), confirmed, button, stop };
}

// A field for a parameter. `read` gives what is in it, or nothing.
function field(document, one, parameter) {
  const schema = resolve(document, parameter.schema);
  const id = `try-${one.operationId}-${parameter.name}`;
  const label = make('label', { for: id }, parameter.name, parameter.required ? null : make('span', { class: 'quiet' }, ' optional'));
  if (schema.type === 'boolean') {
    const input = make('select', { id }, ['', 'true', 'false'].map((value) => make('option', { value }, value || 'not sent')));
    return { parameter, element: make('div', {}, label, input), read: () => input.value };
  }
  const proposes = parameter.required || parameter.name in SAME;
  const value = (proposes && known.get(meaning(parameter.name))) || (parameter.required ? parameter.example : '');
  const input = make('input', { id, autocomplete: 'off', spellcheck: 'false', placeholder: kind(document, schema), value });
  if (proposes) input.dataset.meaning = meaning(parameter.name);
  return { parameter, element: make('div', {}, label, input), read: () => input.value };
}

// A body as text, or as a file.
function bodyField(one) {
  const types = Object.keys(one.requestBody.content);
  const id = `try-${one.operationId}-body`;
  const type = make('select', { id: `${id}-type` }, types.map((name) => make('option', {}, name)));
  const text = make('textarea', { id, rows: 6, spellcheck: 'false' });
  const file = make('input', { id: `${id}-file`, type: 'file' });
  const fileRow = make('div', {}, make('label', { for: file.id }, 'or a file'), file);
  const choose = () => {
    const { example = '' } = one.requestBody.content[type.value];
    const isJson = typeof example !== 'string';
    text.value = isJson ? json(proposed(example)) : example;
    text.toggleAttribute('data-json', isJson);
    delete text.dataset.touched;
    show(fileRow, !isJson);
    file.value = '';
  };
  type.addEventListener('change', choose);
  choose();
  const element = make('div', {}, make('label', { for: type.id }, 'Content-Type'), type, make('label', { for: id }, 'Body'), text, fileRow);
  return { element, read: () => ({ type: type.value, data: file.files[0] ?? text.value }) };
}

// The request that the form describes.
function build(one, fields, body) {
  let path = one.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, read } of fields) {
    const value = read();
    if (parameter.in === 'path') path = path.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value === '') continue;
    else if (parameter.in === 'query') query.set(parameter.name, value);
    else headers[parameter.name] = value;
  }
  const given = body?.read();
  if (given) headers['Content-Type'] = given.type;
  const text = query.toString();
  return { method: one.method.toUpperCase(), target: path + (text && `?${text}`), headers, body: given?.data ?? null };
}

async function run({ method, target, headers, body }, result, button, stop) {
  const ending = new AbortController();
  const started = performance.now();
  stop.onclick = () => ending.abort();
  button.disabled = true;
  show(stop, true);
  result.replaceChildren(make('p', { class: 'quiet' }, 'Waiting for the response…'));
  try {
    const response = await send(method, target, { headers, body, signal: ending.signal });
    await showAnswer(response, result, Math.round(performance.now() - started));
  } catch (error) {
    const text = ending.signal.aborted ? 'Stopped.' : `The daemon did not respond, or broke the response off: ${error.message}`;
    result.append(make('p', { class: 'notice bad' }, text));
  }
  button.disabled = false;
  show(stop, false);
}

async function showAnswer(response, result, took) {
  const shown = make('pre', { tabindex: '0', 'aria-label': 'Body of the response' });
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}\n`);
  result.replaceChildren(
    make('p', {}, make('strong', { class: `code-${String(response.status)[0]}` }, `${response.status} ${response.statusText}`), ` after ${took} ms`),
    make('details', {}, make('summary', {}, 'Headers'), make('pre', { tabindex: '0', 'aria-label': 'Headers of the response' }, headers.join(''))),
    shown);
  const nonce = response.headers.get('x-rke-nonce');
  if (nonce) learn({ nonce });
  if (response.headers.get('content-type')?.startsWith('application/json')) {
    const text = await response.text();
    const answer = JSON.parse(text);
    write(shown, json(answer));
    if (response.ok) learn(answer);
  } else {
    await showRaw(response, result, shown);
  }
}

// Data as it comes: text where it is text, and a way to keep it.
async function showRaw(response, result, shown) {
  const [pieces, decoder] = [[], new TextDecoder()];
  for (const reader = response.body.getReader(); ;) {
    const { value, done } = await reader.read();
    if (done) break;
    pieces.push(value);
    if (shown.textContent.length < SHOWN) shown.append(decoder.decode(value, { stream: true }));
  }
  const data = new Blob(pieces);
  result.append(make('p', {}, `${data.size} bytes. `,
    make('a', { href: URL.createObjectURL(data), download: 'answer' }, 'Save them')));
}
