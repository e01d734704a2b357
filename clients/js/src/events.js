// What happens at the daemon, as it happens: `GET /api/rke/events`, a text/event-stream. Not with `EventSource`: it
// sends no token, and takes a cut for a reason to connect again without a word.

import { brokenOff } from './calls.js';
import { AnswerError } from './errors.js';
import { showsItsEnd } from './streams.js';

/** The longest event, in characters. */
const LONGEST = 64 * 1024;

/** Begins to listen. When this resolves, nothing that happens from now on is missed. */
export async function listen(calls, signal) {
  const response = await calls.send('GET', '/api/rke/events', { headers: { Accept: 'text/event-stream' }, signal });
  if (!showsItsEnd(response.headers)) {
    await response.body?.cancel();
    throw new AnswerError(calls.url, 'its response has no recognisable end');
  }
  return new Events(calls.url, response.body.getReader(), signal);
}

/** Events as they happen. Iterate over it; it ends where the daemon stops. */
export class Events {
  #reader;
  #events;

  /** Use `rke.events`. */
  constructor(url, reader, signal) {
    this.#reader = reader;
    this.#events = eventsOf(url, reader, signal);
  }

  /** The next event, as iterators give it. */
  next() {
    return this.#events.next();
  }

  /** What the end of a loop does: `close()`. */
  async return() {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Listens no longer. A `next()` that waits gives the end. */
  async close() {
    // A stream that has broken off rejects this too, and its error has come out already.
    await this.#reader.cancel().catch(() => {});
    await this.#events.return();
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

// Engines that know `await using` have this symbol; to others it means nothing.
if (Symbol.asyncDispose) {
  Object.defineProperty(Events.prototype, Symbol.asyncDispose, { value: Events.prototype.close });
}

async function* eventsOf(url, reader, signal) {
  const parser = new Parser();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw brokenOff(error, { signal, remedy: 'listen again; what happened meanwhile shows in the first events' });
    });
    if (done) return;
    let events;
    try {
      events = parser.feed(value);
    } catch (error) {
      reader.cancel().catch(() => {});
      throw new AnswerError(url, 'it does not send events', error);
    }
    yield* events;
  }
}

/** Reads events from bytes, however they are cut into pieces. Throws where they are none. */
class Parser {
  #decoder = new TextDecoder('utf-8', { fatal: true });
  #rest = '';

  /** The events that are whole. */
  feed(bytes) {
    const blocks = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split('\n\n');
    this.#rest = blocks.pop();
    if (this.#rest.length > LONGEST) throw new RangeError('an event is too long');
    return blocks.map(parsed).filter((event) => event !== undefined);
  }
}

/** The event of a block of lines; undefined for a comment, which only shows that the daemon is there. */
function parsed(block) {
  let name = 'message';
  const data = [];
  for (const line of block.split('\n')) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
  }
  if (data.length === 0) return undefined;
  const read = JSON.parse(data.join('\n'));
  if (typeof read !== 'object' || read === null) throw new TypeError('the data of an event is not an object');
  return { name, data: read };
}
