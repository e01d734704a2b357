// The list of clients/conformance in Node, over TCP and over the unix socket.

import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { unixSocket } from '../src/unix.js';
import { run } from './conformance.js';
import { stage } from './stage.js';

const cases = JSON.parse(readFileSync(new URL('../../conformance/calls.json', import.meta.url), 'utf8'));

for (const { name, daemon = 'dev', slow, ...rest } of cases) {
  const there = stage.daemons[daemon];
  const given = { domain: stage.domain, wallet: there?.wallet, key: there?.key };
  test(`${daemon}: ${name}`, () => run({ name, ...rest }, there, given));
  if (there?.unix && !slow) {
    const fetch = unixSocket(there.unix);
    test(`${daemon} over the unix socket: ${name}`, () => run({ name, ...rest }, { ...there, fetch }, given));
  }
}
