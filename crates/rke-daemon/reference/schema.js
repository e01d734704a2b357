// Schemas as tables: one row for each field, those of fields of fields with their whole path.

import { make } from '/console/dom.js';
import { line } from './prose.js';

// What a reference stands for.
export function resolve(document, thing) {
  if (!thing?.$ref) return thing;
  return thing.$ref.split('/').slice(1).reduce((place, name) => place[name], document);
}

const list = (value) => [value ?? []].flat();

export function kind(document, given) {
  const schema = resolve(document, given);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (schema.oneOf ?? schema.anyOf) return (schema.oneOf ?? schema.anyOf).map((one) => kind(document, one)).join(' or ');
  const types = list(schema.type).map((type) => (type === 'array' ? `list of ${kind(document, schema.items)}s` : type));
  return schema.format && !schema.format.startsWith('int') ? `${types.join(' or ')} (${schema.format})` : types.join(' or ');
}

// The fields of an object, its nested ones behind it.
function fields(document, given, prefix = '') {
  const schema = resolve(document, given);
  const required = new Set(schema.required);
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const field = resolve(document, property);
    const path = `${prefix}${name}`;
    const type = list(field.type);
    const row = { path, type: kind(document, field), text: property.description ?? field.description, required: required.has(name) };
    if (type.includes('array')) return [row, ...fields(document, field.items, `${path}[].`)];
    return [row, ...fields(document, field, `${path}.`)];
  });
  return [...list(schema.allOf).flatMap((part) => fields(document, part, prefix)), ...own];
}

export function table(document, schema) {
  const rows = fields(document, schema);
  if (rows.length === 0) return null;
  const row = ({ path, type, text, required }) => make('tr', {},
    make('th', { scope: 'row' }, make('code', {}, path)),
    make('td', { class: 'kind' }, type, required ? null : make('span', { class: 'quiet' }, ' optional')),
    make('td', {}, line(text)));
  return scrolled(make('table', { class: 'fields' }, make('tbody', {}, rows.map(row))), 'Fields');
}

// A table that is wider than the page is scrolled by itself, with the keyboard too.
export const scrolled = (content, label) => make('div', { class: 'scrolled', tabindex: '0', role: 'group', 'aria-label': label }, content);

// JSON as it is read.
export const json = (value) => JSON.stringify(value, null, 2);
