// Servers that answer what no daemon would, or break off: each is told apart, and nothing looks whole.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import {
  AnswerError,
  BrokenOffError,
  DaemonError,
  ExchangeError,
  NoDaemonError,
  NotFoundError,
  RequestError,
  Rke,
} from '../src/index.js';
import { unixSocket } from '../src/unix.js';

/** Asks a server that answers each request with these bytes and hangs up. */
async function asking(answer, ask) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(answer));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await ask(new Rke({ url: `http://127.0.0.1:${server.address().port}` }));
  } finally {
    server.close();
  }
}

const json = (status, body) =>
  `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const raw = (head, body) => `HTTP/1.1 200 OK\r\n${head}\r\n\r\n${body}`;

const seal = (rke) => rke.session('a').seal(new Uint8Array(600_000));
const stream = async (rke) => new Response(await rke.session('a').sealStream([new Uint8Array(9)])).arrayBuffer();

const tunnel = async (rke) => new Response(await rke.session('a').tunnel([new Uint8Array(9)])).text();

const events = async (rke) => {
  for await (const event of await rke.events()) assert.equal(event.name, 'keys');
};
const CHUNKED = 'Transfer-Encoding: chunked';
const KEYS = '16\r\nevent: keys\ndata: {}\n\n\r\n';

for (const [name, answer, ask, expected] of [
  ['a page of something else', raw('Content-Length: 4', 'Hi!!'), (rke) => rke.status(), AnswerError],
  ['a number', json(200, '1'), (rke) => rke.status(), AnswerError],
  ['an error page', json(500, '<html>'), (rke) => rke.status(), AnswerError],
  ['an error of another kind', json(404, '{"error":"x"}'), (rke) => rke.status(), AnswerError],
  ['a redirect', 'HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n', (rke) => rke.status(), NoDaemonError],
  ['no HTTP', 'SSH-2.0-x\r\n', (rke) => rke.status(), NoDaemonError],
  ['nothing', '', (rke) => rke.status(), NoDaemonError],
  ['half an answer', json(200, '{"command":"x"}').slice(0, -1), (rke) => rke.status(), BrokenOffError],
  ['half an error', json(404, '{"error":true}').slice(0, -1), (rke) => rke.status(), BrokenOffError],
  ['no nonce', raw('Content-Length: 1', 'x'), (rke) => rke.session('a').encryptStream([]), AnswerError],
  ['half a body of known length', raw('Content-Length: 20', 'x'.repeat(10)), seal, BrokenOffError],
  ['half a body of unknown length', raw('Transfer-Encoding: chunked', '4\r\nabcd\r\n'), seal, BrokenOffError],
  ['half a stream of known length', raw('Content-Length: 20', 'x'.repeat(10)), stream, BrokenOffError],
  ['half a stream of unknown length', raw('Transfer-Encoding: chunked', '4\r\nabcd\r\n'), stream, BrokenOffError],
  ['half a body of a last answer', raw('Connection: close\r\nTransfer-Encoding: chunked', '4\r\nabcd\r\n'), seal, BrokenOffError],
  ['half a stream of a last answer', raw('Connection: close\r\nTransfer-Encoding: chunked', '4\r\nabcd\r\n'), stream, BrokenOffError],
  ['a stream without length', raw('X: y', 'abcd'), stream, BrokenOffError],
  ['a stream that ends too early', raw('Transfer-Encoding: chunked', '4\r\nabcd\r\n0\r\n\r\n'), stream, BrokenOffError],
  ['half a chunk', raw('Transfer-Encoding: chunked', '4\r\nab'), stream, BrokenOffError],
  ['a tunnel that was cut between two chunks', raw('Transfer-Encoding: chunked', '4\r\nabcd\r\n'), tunnel, BrokenOffError],
  ['a tunnel that was cut in a chunk', raw('Transfer-Encoding: chunked', '4\r\nab'), tunnel, BrokenOffError],
  ['a tunnel that was cut in its last chunk', raw('Transfer-Encoding: chunked', '4\r\nabcd\r\n0\r\n'), tunnel, BrokenOffError],
  ['a tunnel whose cut Node would not notice', raw('Connection: close\r\nTransfer-Encoding: chunked', '4\r\nabcd\r\n'), tunnel, AnswerError],
  ['a tunnel whose end cannot be told from a cut', raw('X: y', 'abcd'), tunnel, AnswerError],
  ['a row of events that is cut', raw(CHUNKED, KEYS), events, BrokenOffError],
  ['a row of events that is cut in an event', raw(CHUNKED, KEYS.slice(0, 10)), events, BrokenOffError],
  ['events whose cut Node would not notice', raw(`Connection: close\r\n${CHUNKED}`, KEYS), events, AnswerError],
  ['events that are none', raw(CHUNKED, '9\r\ndata: x\n\n\r\n0\r\n\r\n'), events, AnswerError],
  ['events without objects', raw(CHUNKED, '9\r\ndata: 1\n\n\r\n0\r\n\r\n'), events, AnswerError],
  ['events that are not UTF-8', Buffer.from(raw('Content-Length: 4', '\xff\xff\n\n'), 'latin1'), events, AnswerError],
  ['an event without end', raw('Content-Length: 99999', `data: ${'x'.repeat(70_000)}`), events, AnswerError],
  ['too many listeners', json(503, '{"error":true,"message":"32 listeners","code":503}'), events, ExchangeError],
  ['an unknown path', json(404, '{"error":true,"message":"No such path","code":404}'), (rke) => rke.keys(), RequestError],
  ['a failure', json(500, '{"error":true,"message":"Internal","code":500}'), (rke) => rke.status(), DaemonError],
  ['an unknown failure', json(507, '{"error":true,"message":"Full","code":507}'), (rke) => rke.status(), DaemonError],
  ['impatience', json(408, '{"error":true,"message":"Slow","code":408}'), (rke) => rke.status(), DaemonError],
]) {
  test(`${name} is a ${expected.name}`, () =>
    assert.rejects(asking(answer, ask), (error) => {
      assert.equal(error.constructor, expected, String(error));
      assert.equal(error.name, expected.name);
      return true;
    }));
}

test('a tunnel ends with what its other end has said', async () => {
  const whole = raw('Transfer-Encoding: chunked', '4\r\nabcd\r\n0\r\n\r\n');
  assert.equal(await asking(whole, tunnel), 'abcd');
});

test('over the unix socket a cut is noticed, also where the answer was the last one', async () => {
  const path = join(tmpdir(), `rke-cut-${process.pid}.sock`);
  const head = raw('Connection: close\r\nTransfer-Encoding: chunked', '4\r\nabcd\r\n');
  for (const [answer, whole] of [[head, false], [`${head}0\r\n`, false], [`${head}0\r\n\r\n`, true]]) {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(answer));
    });
    await new Promise((resolve) => server.listen(path, resolve));
    try {
      const asked = tunnel(new Rke({ fetch: unixSocket(path) }));
      if (whole) assert.equal(await asked, 'abcd');
      else await assert.rejects(asked, BrokenOffError);
    } finally {
      server.close();
    }
  }
});

/** A server that answers once on a connection, and hangs up later without having said so. */
function refusingOnce() {
  const answer = json(404, '{"error":true,"message":"Gone","code":404,"session_id":"a"}');
  return createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.on('data', () => {});
      socket.write(answer);
      setTimeout(() => socket.destroy(), 300);
    });
  });
}

for (const way of ['TCP', 'the unix socket']) {
  test(`a connection on which data was refused is not used again, over ${way}`, async () => {
    const server = refusingOnce();
    const path = join(tmpdir(), `rke-odd-${process.pid}.sock`);
    await new Promise((resolve) => (way === 'TCP' ? server.listen(0, '127.0.0.1', resolve) : server.listen(path, resolve)));
    const url = `http://127.0.0.1:${server.address().port ?? 80}`;
    const rke = new Rke(way === 'TCP' ? { url } : { fetch: unixSocket(path) });
    try {
      for (let time = 0; time < 3; time += 1) {
        await assert.rejects(rke.session('a').sealStream(['x']), NotFoundError);
        await assert.rejects(rke.session('a').seal(new Uint8Array(600_000)), NotFoundError);
      }
    } finally {
      server.close();
    }
  });
}

test('a failure tells how the log names it', async () => {
  const answer = json(500, '{"error":true,"message":"Internal","code":500}').replace('\r\n', '\r\nX-Request-Id: 7f\r\n');
  await assert.rejects(asking(answer, (rke) => rke.status()), { requestId: '7f', status: 500, code: 500 });
});

test('events are read however they are cut into pieces, and end where the daemon says so', async () => {
  const text = ':\n\n: hello\nevent: keys\ndata: {}\n\nevent:exchange\nid: 1\ndata: {"domain":\ndata: "grün"}\n\n:\n\nevent: none\n\n';
  const bytes = Buffer.from(text);
  const chunks = [...bytes].map((byte) => Buffer.concat([Buffer.from('1\r\n'), Buffer.of(byte), Buffer.from('\r\n')]));
  const whole = Buffer.concat([Buffer.from(raw(CHUNKED, '')), ...chunks, Buffer.from('0\r\n\r\n')]);
  const got = await asking(whole, async (rke) => {
    const all = [];
    for await (const event of await rke.events()) all.push(event);
    return all;
  });
  assert.deepEqual(got, [
    { name: 'keys', data: {} },
    { name: 'exchange', data: { domain: 'grün' } },
  ]);
});
