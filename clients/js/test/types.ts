// Programs that the types allow, and some that they must not. Compiled by types.test.js, never run.

import {
  DamagedError,
  Events,
  LimitError,
  Rke,
  RkeError,
  RkeEvent,
  Session,
  fromBase64,
  toBase64,
} from '../src/index.js';
import { unixSocket } from '../src/unix.js';

export async function allowed(signal: AbortSignal): Promise<void> {
  const rke = new Rke({ url: 'http://localhost:8080', token: async () => 'token', fetch: unixSocket('/run/rke.sock') });
  const session: Session = await rke.open({ domain: 'content.example.com', walletPath: '/w', fresh: true, signal });
  const sealed: Uint8Array = await session.seal('text', { associatedData: new Uint8Array(3), signal });
  const text: string = await session.openText(sealed, { associatedData: 'a' });
  const exported: Uint8Array = await session.export('vpn', { context: 'peer', length: 32, signal });
  const { ciphertext, nonce } = await session.encrypt(new Blob(['x']));
  const back: Uint8Array = await session.decrypt(ciphertext, nonce);
  const { stream } = await session.encryptStream([new Uint8Array(1)], { signal });
  const opened: ReadableStream<Uint8Array> = await session.openStream(stream);
  await opened.getReader().read();
  const renewed: string = (await session.renew()).expires_at;
  const end: number | undefined = session.expiresAt?.getTime();
  const hits: number | undefined = (await session.delete({ verify: true, forget: true, everywhere: true })).wipe?.hits;
  const echo: ReadableStream<Uint8Array> = await session.tunnel([new Uint8Array(1)], { signal });
  const { key_id, coin, authenticated } = await session.show();
  const known: [string | null, string | null, 'strong' | 'weak' | 'no'] = [key_id, coin, authenticated];
  const deleted: number = await rke.deleteSessions({ domain: 'content.example.com' });
  const margin: number | null = (await rke.raidas()).margin;
  for await (const event of await rke.events({ signal })) {
    const step: string = event.name === 'exchange' ? `${event.data.raida} ${event.data.state}` : event.name;
    const took: number | null = event.name === 'exchange' ? event.data.ms : null;
    console.log(step, took);
  }
  const events: Events = await rke.events();
  const { done, value } = await events.next();
  const first: RkeEvent | undefined = done ? undefined : value;
  await events.close();
  console.log(first);
  await session[Symbol.asyncDispose]();
  console.log(exported, echo, known, text, back, renewed, end, hits, deleted, margin, fromBase64(toBase64('x')));
}

export function caught(error: unknown): string {
  if (error instanceof LimitError) return `${error.retryAfter} ${error.status}`;
  if (error instanceof DamagedError) return error.remedy;
  return error instanceof RkeError ? `${error.reason} ${JSON.stringify(error.fields)}` : 'another';
}

export async function refused(rke: Rke, session: Session): Promise<void> {
  // @ts-expect-error: a session needs a wallet
  await rke.open({ domain: 'content.example.com' });
  // @ts-expect-error: a key is exported for something
  await session.export();
  // @ts-expect-error: a number is not data
  await session.seal(1);
  // @ts-expect-error: what was encrypted needs its nonce
  await session.decrypt(new Uint8Array(1));
  // @ts-expect-error: a text is not a stream, though one could iterate over it
  await session.sealStream('text');
  // @ts-expect-error: events come from a daemon
  new Events();
  // @ts-expect-error: sessions come from a daemon
  new Session();
}
