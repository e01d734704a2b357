// What the list of calls cannot say, because each language has its own ways: kinds of data, signals,
// abandoned streams, sessions that end with their block.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';

import { BrokenOffError, ExchangeError, NotAllowedError, NotFoundError, Rke, fromBase64, toBase64 } from '../src/index.js';
import { unixSocket } from '../src/unix.js';
import { stage } from './stage.js';

const { url, wallet: walletPath } = stage.daemons.dev;
const rke = new Rke({ url });

/** Has something done with a session, and ends it. */
async function withSession(work) {
  const session = await rke.open({ domain: stage.domain, walletPath });
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

const pattern = (length) => Uint8Array.from({ length }, (_, at) => at % 251);
const whole = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());

/** Pieces of data without end; `ended` resolves when nobody wants more. */
function endless() {
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  async function* pieces() {
    try {
      for (;;) yield new Uint8Array(65536);
    } finally {
      end();
    }
  }
  return { pieces: pieces(), ended };
}

test('data comes in many kinds', () =>
  withSession(async (session) => {
    const bytes = pattern(1000);
    const view = new DataView(pattern(1010).buffer, 0, 1000);
    for (const data of [bytes, bytes.buffer, view, Buffer.from(bytes), new Blob([bytes])]) {
      assert.deepEqual(await session.open(await session.seal(data)), bytes, data.constructor.name);
    }
    assert.equal(await session.openText(await session.seal('Grüße')), 'Grüße');
    const { ciphertext, nonce } = await session.encrypt('Grüße');
    assert.equal(await session.decryptText(ciphertext, nonce), 'Grüße');
    await assert.rejects(session.seal(7), TypeError);
    await assert.rejects(session.openText(await session.seal(Uint8Array.of(0xff))), TypeError);
  }));

test('streams come in many kinds', () =>
  withSession(async (session) => {
    const bytes = pattern(200_001);
    const pieces = [bytes.slice(0, 1), new Uint8Array(0), bytes.slice(1, 150_000), bytes.slice(150_000)];
    const blob = new Blob([bytes]);
    async function* generated() {
      yield* pieces;
    }
    for (const data of [pieces, generated(), Readable.from(pieces), Readable.toWeb(Readable.from(pieces)), blob, blob.stream()]) {
      assert.deepEqual(await whole(await session.openStream(await session.sealStream(data))), bytes);
    }
    const text = await session.sealStream(Readable.from(['Grü', 'ße'], { objectMode: true }));
    assert.equal(new TextDecoder().decode(await whole(await session.openStream(text))), 'Grüße');
    await assert.rejects(session.sealStream('a text'), TypeError);
    await assert.rejects(session.sealStream([7]), TypeError);
  }));

test('whole data may be larger than JSON may', () =>
  withSession(async (session) => {
    for (const data of [pattern(524_289), pattern(3_000_017), new Blob([pattern(3_000_017)])]) {
      const expected = new Uint8Array(await new Blob([data]).arrayBuffer());
      const { ciphertext, nonce } = await session.encrypt(data);
      assert.deepEqual(await session.decrypt(ciphertext, nonce), expected);
      assert.deepEqual(await session.open(await session.seal(data)), expected);
    }
    const sealed = await session.seal(pattern(3_000_017));
    sealed[2_000_000] ^= 1;
    await assert.rejects(session.open(sealed), BrokenOffError);
  }));

test('a session ends with its block', async () => {
  const session = await rke.open({ domain: stage.domain, walletPath });
  assert.equal(typeof session[Symbol.asyncDispose], 'function');
  await session[Symbol.asyncDispose]();
  await assert.rejects(session.show(), NotFoundError);
  await session.close();
  await assert.rejects(session.delete(), NotFoundError);
});

test('a session of elsewhere is used by its id', () =>
  withSession(async ({ id, created, expiresAt }) => {
    assert.equal(new Date(created.expires_at).getTime(), expiresAt.getTime());
    const session = rke.session(id);
    assert.equal(session.created, undefined);
    await session.renew();
    assert.ok(session.expiresAt >= expiresAt);
    for (const wrong of [undefined, 7, '', '..', 'a b', 'ä']) assert.throws(() => rke.session(wrong), TypeError);
  }));

test('a signal calls everything off', () =>
  withSession(async (session) => {
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    const options = { signal };
    const is = (error) => error === reason;
    for (const call of [
      () => rke.open({ domain: stage.domain, walletPath, signal }),
      () => rke.sessions(options),
      () => rke.deleteSessions(options),
      () => rke.keys(options),
      () => rke.deleteKeys(options),
      () => rke.discover(stage.domain, options),
      () => rke.raidas(options),
      () => rke.refreshRaidas(options),
      () => rke.status(options),
      () => rke.events(options),
      () => session.show(options),
      () => session.renew(options),
      () => session.delete(options),
      () => session.close(options),
      () => session.seal('x', options),
      () => session.open('x', options),
      () => session.encrypt('x', options),
      () => session.decrypt('x', '0'.repeat(32), options),
      () => session.sealStream(['x'], options),
      () => session.openStream(['x'], options),
      () => session.tunnel(['x'], options),
      () => session.encryptStream(['x'], options),
      () => session.decryptStream(['x'], '0'.repeat(32), options),
      () => session.openText('x', options),
      () => session.decryptText('x', '0'.repeat(32), options),
    ]) {
      await assert.rejects(call(), is, String(call));
    }
    assert.equal((await session.show()).encrypt_count, 0);
  }));

test('a signal breaks a stream off and lets go of its source', () =>
  withSession(async (session) => {
    const { pieces, ended } = endless();
    const control = new AbortController();
    const reader = (await session.sealStream(pieces, { signal: control.signal })).getReader();
    await reader.read();
    const reason = new Error('enough');
    control.abort(reason);
    const rest = async () => {
      while (!(await reader.read()).done);
    };
    await assert.rejects(rest(), (error) => error === reason);
    await ended;
  }));

test('a stream that nobody reads on lets go of its source', () =>
  withSession(async (session) => {
    const { pieces, ended } = endless();
    const stream = await session.encryptStream(pieces);
    assert.match(stream.nonce, /^[0-9a-f]{32}$/);
    await stream.stream.cancel('enough');
    await ended;
  }));

test('a stream that is refused lets go of its source', async () => {
  const { pieces, ended } = endless();
  await assert.rejects(rke.session('0'.repeat(32)).sealStream(pieces), NotFoundError);
  await ended;
});

test('a stream that is broken off lets go of its source', () =>
  withSession(async (session) => {
    const { pieces, ended } = endless();
    const stream = await session.sealStream(pieces);
    await session.delete();
    await assert.rejects(whole(stream), BrokenOffError);
    await ended;
    await rke.status();
  }));

/** What is sent piece by piece; `ended` resolves when nobody wants more. */
function sending() {
  const waiting = [];
  let wake = () => {};
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  async function* pieces() {
    try {
      for (;;) {
        while (waiting.length === 0) await new Promise((resolve) => (wake = resolve));
        const next = waiting.shift();
        if (next === null) return;
        if (next instanceof Error) throw next;
        yield new TextEncoder().encode(next);
      }
    } finally {
      end();
    }
  }
  const send = (piece) => {
    waiting.push(piece);
    wake();
  };
  return { pieces: pieces(), send, ended };
}

/** The next text of that many bytes from a stream. */
async function next(reader, length) {
  let text = '';
  while (text.length < length) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ended after ${text}`);
    text += new TextDecoder().decode(value);
  }
  return text;
}

test('a tunnel goes both ways at the same time, and ends when both have', () =>
  withSession(async (session) => {
    const { pieces, send } = sending();
    // Node sends nothing of a request before there is a first piece.
    send('zero');
    const reader = (await session.tunnel(pieces)).getReader();
    assert.equal(await next(reader, 4), 'zero');
    for (const text of ['one', 'two', 'three']) {
      send(text);
      assert.equal(await next(reader, text.length), text);
    }
    send(null);
    assert.equal((await reader.read()).done, true);
  }));

for (const [what, cut, expected] of [
  ['its session', ({ session }) => session.close(), BrokenOffError],
  ['its source', ({ send }) => send(new RangeError('broke')), RangeError],
  ['its signal', ({ control }) => control.abort(new RangeError('enough')), RangeError],
]) {
  test(`a tunnel is cut where ${what} ends, and is never whole`, () =>
    withSession(async (session) => {
      const [{ pieces, send }, control] = [sending(), new AbortController()];
      send('DELETE FROM users');
      const reader = (await session.tunnel(pieces, { signal: control.signal })).getReader();
      assert.equal(await next(reader, 17), 'DELETE FROM users');
      await cut({ session, send, control });
      await assert.rejects(reader.read(), (error) => error.constructor === expected);
    }));
}

/** Waits for an event with this name. */
async function heard(events, name) {
  for (;;) {
    const { done, value } = await events.next();
    if (done) throw new Error(`the events ended before ${name}`);
    if (value.name === name) return value.data;
  }
}

for (const [way, listener] of [
  ['TCP', rke],
  ['the unix socket', new Rke({ fetch: unixSocket(stage.daemons.dev.unix) })],
]) {
  test(`events tell what happens, over ${way}`, { timeout: 60_000 }, async () => {
    const events = await listener.events();
    for (const name of ['sessions', 'keys', 'raidas', 'activity', 'refusals']) await heard(events, name);
    const session = await rke.open({ domain: stage.domain, walletPath, fresh: true });
    try {
      const step = await heard(events, 'exchange');
      assert.equal(step.domain, stage.domain);
      assert.ok(step.raida >= 0 && step.raida < 25 && ['asked', 'answered', 'failed'].includes(step.state));
      await heard(events, 'sessions');
    } finally {
      await session.close();
      await events.close();
    }
    assert.deepEqual(await events.next(), { done: true, value: undefined });
  });

  test(`who closes events, or leaves their loop, listens no longer, over ${way}`, { timeout: 60_000 }, async () => {
    // The daemon has 32 places for listeners: it would have none left.
    for (let time = 0; time < 40; time += 1) {
      const events = await again(() => listener.events());
      if (time % 2 === 0) for await (const _ of events) break;
      else await Promise.all([events.next(), events.close()]);
    }
  });

  test(`a close ends a wait for events, and a signal breaks it off, over ${way}`, { timeout: 60_000 }, async () => {
    const closed = await again(() => listener.events());
    const waiting = (async () => {
      for await (const _ of closed);
    })();
    await closed.close();
    await waiting;
    const [control, reason] = [new AbortController(), new Error('enough')];
    const events = await again(() => listener.events({ signal: control.signal }));
    const broken = (async () => {
      for await (const _ of events) control.abort(reason);
    })();
    await assert.rejects(broken, (error) => error === reason);
    assert.deepEqual(await events.next(), { done: true, value: undefined });
  });
}

/** Listens, as soon as the daemon has noticed that others have gone. */
async function again(listen) {
  for (;;) {
    try {
      return await listen();
    } catch (error) {
      if (!(error instanceof ExchangeError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

test('the token is got for each request', async () => {
  const { url, token } = stage.daemons.token;
  let asked = 0;
  const changing = new Rke({ url, token: async () => ((asked += 1) === 2 ? 'old' : `${token}\n`) });
  await changing.status();
  await assert.rejects(changing.status(), NotAllowedError);
  await changing.status();
  assert.equal(asked, 3);
});

test('an error says what is wrong, what it is about and what to do', async () => {
  const id = '0'.repeat(32);
  await assert.rejects(rke.session(id).show(), {
    name: 'NotFoundError',
    message: 'Session not found: open a new one',
    reason: 'Session not found',
    remedy: 'open a new one',
    status: 404,
    code: 404,
    fields: { session_id: id },
  });
});

test('Base64 is standard Base64 of any length', () => {
  const bytes = pattern(100_003);
  assert.equal(toBase64(bytes), Buffer.from(bytes).toString('base64'));
  assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
  assert.equal(toBase64('Hi'), 'SGk=');
});
