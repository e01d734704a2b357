// What the tests have a page do. `stage` says where the daemons are. Each gives 'as expected' or what was
// otherwise.

import { NoDaemonError, NotFoundError, Rke, TooLargeError } from '../src/index.js';
import { adapted, blocksOf, isForPages } from './blocks.js';
import { run } from './conformance.js';

const LIMIT = 8 * 1024 * 1024;

const dev = () => new Rke({ url: stage.daemons.dev.url });
const open = () => dev().open({ domain: stage.domain, walletPath: stage.daemons.dev.wallet });

/** Runs a case of the list. */
export function keepsTo(test) {
  const daemon = stage.daemons[test.daemon ?? 'dev'];
  return expected(() => run(test, daemon, { domain: stage.domain, wallet: daemon.wallet }));
}

/** `await using`, which engines in Node do not all know. */
export function endsWithItsBlock() {
  return expected(async () => {
    let id;
    {
      await using session = await open();
      id = session.id;
      await session.show();
    }
    await fails(dev().session(id).show(), NotFoundError);
  });
}

/** Why the library collects streams in a browser: it would be news if this went. */
export function engineSendsNoStreams() {
  return expected(async () => {
    const body = new Blob(['x']).stream();
    const sent = fetch(`${dev().url}/api/rke/seal`, { method: 'POST', body, duplex: 'half' });
    await fails(sent, TypeError);
  });
}

/** As much as the library sends from a browser: more could get stuck. */
export function largestBody() {
  return expected(async () => {
    await using session = await open();
    const bytes = new Uint8Array(LIMIT).fill(7);
    const sealed = await session.seal(new Blob([bytes]));
    // Sealed, it is too large to be opened by a page again.
    await fails(session.open(sealed), TooLargeError);
    const { stream, nonce } = await session.encryptStream([bytes]);
    const decrypted = await session.decrypt(await new Response(stream).blob(), nonce);
    same(decrypted.length, LIMIT);
    if (decrypted.some((byte) => byte !== 7)) throw new Error('other data');
  });
}

/** More than that is refused at once, and the source is let go. */
export function tooLarge() {
  return expected(async () => {
    await using session = await open();
    const bytes = new Uint8Array(LIMIT + 1);
    await fails(session.seal(bytes), TooLargeError);
    await fails(session.encrypt(new Blob([bytes])), TooLargeError);
    await fails(session.sealStream(new Blob([bytes])), TooLargeError);
    let ended = false;
    async function* endless() {
      try {
        for (;;) yield new Uint8Array(65536);
      } finally {
        ended = true;
      }
    }
    await fails(session.sealStream(endless()), TooLargeError);
    same(ended, true);
    same((await session.show()).encrypt_count, 0);
  });
}

/** What the daemon says to a page that sends more without the library, and sends all of it before it reads. */
export function tooLargeWithoutTheLibrary() {
  return expected(async () => {
    await using session = await open();
    const headers = { 'X-RKE-Session': session.id };
    const body = new Uint8Array(8 * LIMIT);
    const response = await fetch(`${dev().url}/api/rke/seal`, { method: 'POST', headers, body });
    same(response.status, 413);
    const { message } = await response.json();
    if (!message.includes('this client (a browser) sends all of it before it reads')) throw new Error(message);
  });
}

/** Where the daemon does not let the page in, or is not there: a browser does not say which. */
export function foreignPage() {
  return expected(async () => {
    const error = await fails(new Rke({ url: stage.daemons.nobody.url }).status(), NoDaemonError);
    if (!error.message.includes(`let pages of ${location.origin} in with --allow-origin`)) throw error;
  });
}

/** Opens a session that ends when the page is left; gives its id. */
export async function endsWhenLeft() {
  const session = await open();
  addEventListener('pagehide', () => session.close());
  // A page that listens to this is not kept alive in the background, where its requests would go on anyway.
  addEventListener('unload', () => {});
  return session.id;
}

/** The code of README.md that pages can run. */
export function readme() {
  return expected(async () => {
    const blocks = blocksOf(await (await fetch('../README.md')).text()).filter(({ code }) => isForPages(code));
    same(blocks.length >= 5, true);
    for (const { code, prints } of blocks) await does(code, prints);
  });
}

async function does(code, prints) {
  const stored = await open();
  sessionStorage.setItem('rke_session_id', stored.id);
  globalThis.printed = [];
  const shown = 'const console = { log: (...parts) => printed.push(parts.join(" ")), error: (...parts) => { throw parts } };\n';
  const program = shown + adapted(code, stage, new URL('../src', location).href);
  await import(URL.createObjectURL(new Blob([program], { type: 'text/javascript' })));
  for (const line of prints) same(printed.includes(line), true);
  // The documented program does not wait for its own end.
  while (code.includes('sessionStorage') && sessionStorage.getItem('rke_session_id')) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (code.includes('sessionStorage')) await fails(stored.show(), NotFoundError);
  await stored.close();
}

async function expected(check) {
  try {
    await check();
    return 'as expected';
  } catch (error) {
    return `${error.stack ?? error}`;
  }
}

async function fails(promise, kind) {
  try {
    await promise;
  } catch (error) {
    if (error.constructor === kind) return error;
    throw error;
  }
  throw new Error(`no ${kind.name}`);
}

function same(value, other) {
  if (value !== other) throw new Error(`${value} instead of ${other}`);
}
