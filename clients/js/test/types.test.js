// The types are those of the library: a compiler takes what they allow, and their names are its names.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import * as library from '../src/index.js';

const types = readFileSync(new URL('../src/index.d.ts', import.meta.url), 'utf8');

test('a compiler takes what the types allow and nothing else', () => {
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,dom'];
  const modules = ['--module', 'node16', '--moduleResolution', 'node16'];
  const file = fileURLToPath(new URL('types.ts', import.meta.url));
  const { status, stdout, error } = spawnSync('tsc', [...options, ...modules, file], { encoding: 'utf8' });
  assert.equal(error, undefined, 'tsc is needed for this test (Debian: node-typescript)');
  assert.equal(status, 0, stdout);
});

test('the types declare what the library exports', () => {
  const declared = [...types.matchAll(/^export (?:class|function) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(library).sort());
});

test('the types declare the members that classes have', () => {
  for (const name of ['Rke', 'Session', 'Events']) {
    const body = types.match(new RegExp(`^export class ${name}[^{]* \\{\n(.*?)^\\}`, 'ms'))[1];
    const declared = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[(:]/gm)].map(([, member]) => member);
    const members = Object.getOwnPropertyNames(library[name].prototype);
    assert.deepEqual(declared.filter((member) => member !== 'constructor').sort(), members.filter((member) => member !== 'constructor').sort());
  }
});
