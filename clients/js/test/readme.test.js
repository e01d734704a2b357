// The code in README.md does what it says, in Node. A browser runs what pages can run: page.js.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { NotFoundError, Rke } from '../src/index.js';
import { adapted, blocksOf, isForPages } from './blocks.js';
import { stage } from './stage.js';

const src = new URL('../src', import.meta.url).href;
const blocks = blocksOf(readFileSync(new URL('../README.md', import.meta.url), 'utf8'));

const STORAGE = `
const stored = new Map([['rke_session_id', 'ID'], ['rke_expires_at', 'x']]);
globalThis.sessionStorage = { getItem: (key) => stored.get(key) ?? null, removeItem: (key) => stored.delete(key) };
`;

/** Runs a program in a folder that has what the README's programs read; gives what it prints. */
function printedBy(code) {
  const dir = mkdtempSync(join(tmpdir(), 'rke-readme-'));
  try {
    writeFileSync(join(dir, 'backup.tar'), new Uint8Array(1_000_000));
    writeFileSync(join(dir, 'token'), 'token\n');
    writeFileSync(join(dir, 'program.mjs'), code);
    const { status, stdout, stderr } = spawnSync(process.execPath, ['program.mjs'], { cwd: dir, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return stdout;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Whether this engine is one that has `await using`. */
function knowsAwaitUsing() {
  try {
    return Boolean(new Function('return async () => { await using nothing = null; }'));
  } catch {
    return false;
  }
}

for (const [at, { code, prints }] of blocks.entries()) {
  test(`piece ${at + 1} of README.md`, async () => {
    if (code.includes('await using') && !knowsAwaitUsing()) return assert.ok(isForPages(code));
    const rke = new Rke({ url: stage.daemons.dev.url });
    const session = await rke.open({ domain: stage.domain, walletPath: stage.daemons.dev.wallet });
    const stored = code.includes('sessionStorage');
    const printed = printedBy((stored ? STORAGE.replace('ID', session.id) : '') + adapted(code, stage, src));
    for (const line of prints) assert.ok(printed.includes(`${line}\n`), `${line} is not in: ${printed}`);
    if (stored) await assert.rejects(session.show(), NotFoundError);
    await session.close();
  });
}

test('README.md has programs', () => {
  assert.ok(blocks.length >= 7 && blocks.filter(({ prints }) => prints.length > 0).length >= 5);
});

test('README.md names every error', async () => {
  const text = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const library = await import('../src/index.js');
  const names = Object.keys(library).filter((name) => name.endsWith('Error') && name !== 'RkeError');
  for (const name of names) assert.ok(text.includes(`| \`${name}\` |`), name);
});
