// Data of any size on its way in and out. What breaks off never looks whole.

import { bytesOf, isBlob } from './bytes.js';
import { brokenOff } from './calls.js';
import { TooLargeError } from './errors.js';

/**
 * Whether request bodies can be sent while they are made. Browsers do that over HTTP/2 only, which no
 * daemon speaks; Node, Deno and Bun do it over HTTP/1.1.
 */
export const CAN_STREAM = globalThis.process?.versions?.node !== undefined;

/**
 * The longest raw body that a browser sends, in bytes. A browser reads no response before all of the body is
 * sent, and the daemon reads no further than its response is taken: between them are only the system's buffers.
 */
const BROWSER_LIMIT = 8 * 1024 * 1024;

/** Refuses a body that a browser would get stuck with. */
export function checkSize(length) {
  if (!CAN_STREAM && length > BROWSER_LIMIT) throw new TooLargeError(BROWSER_LIMIT);
}

/** Where the data of a request comes from: a stream, something that is iterated over, or a Blob. */
export class Source {
  /** Why it broke, once it has. */
  fault;
  /** How many bytes it has given. */
  size = 0;
  /** Whether it has given all that there is. */
  ended = false;
  #chunks;
  #blob;
  #stream;

  constructor(data) {
    this.#blob = isBlob(data) ? data : undefined;
    this.#chunks = this.#blob ? undefined : chunksOf(data);
  }

  /** It as a body that `fetch` takes: all of it if the engine cannot send it in pieces. */
  async body(signal) {
    this.#stream = this.#blob ? undefined : this.#read();
    if (CAN_STREAM && this.#stream) return this.#stream;
    const blob = this.#blob ?? (await collected(this.#stream, signal));
    checkSize(blob.size);
    this.size = blob.size;
    this.ended = true;
    return blob;
  }

  /** Says that nobody wants more of it. Node would read the rest of it for nothing, however long that is. */
  stop() {
    this.#chunks?.return().catch(() => {});
    this.#chunks = undefined;
  }

  #read() {
    const pull = async (controller) => {
      try {
        const { done, value } = (await this.#chunks?.next()) ?? {};
        if (this.#chunks === undefined) controller.error(new Error('nobody wants more'));
        else if (done) this.#close(controller);
        else this.#give(controller, bytesOf(value));
      } catch (error) {
        this.fault = error;
        this.stop();
        controller.error(error);
      }
    };
    return new ReadableStream({ pull, cancel: () => this.stop() }, { highWaterMark: 0 });
  }

  #give(controller, bytes) {
    this.size += bytes.byteLength;
    controller.enqueue(bytes);
  }

  #close(controller) {
    this.ended = true;
    controller.close();
  }
}

/** All of a stream, or as much as a browser can send: then it is an error. */
async function collected(stream, signal) {
  const parts = [];
  let size = 0;
  const write = (chunk) => {
    size += chunk.byteLength;
    checkSize(size);
    parts.push(chunk);
  };
  await stream.pipeTo(new WritableStream({ write }), { signal });
  return new Blob(parts);
}

/** The chunks of a stream or of anything that can be iterated over. */
function chunksOf(data) {
  if (data instanceof ReadableStream) return chunksOfStream(data);
  const iterate = data?.[Symbol.asyncIterator] ?? data?.[Symbol.iterator];
  if (typeof data !== 'object' || iterate === undefined) {
    throw new TypeError('a stream of data is a ReadableStream, a Blob, or something to iterate over');
  }
  const iterator = iterate.call(data);
  return { next: async () => iterator.next(), return: async () => iterator.return?.() };
}

/** Not every engine iterates over streams by itself. */
function chunksOfStream(stream) {
  const reader = stream.getReader();
  return { next: () => reader.read(), return: () => reader.cancel() };
}

/**
 * The body of a response. It ends, or fails with the error that ended it. `isWhole` compares
 * the bytes that the source gave and those that came, whether the source has ended, too: Node takes a response
 * for whole whose connection was to close after it, wherever it closed.
 */
export function answerStream(response, { signal, source, isWhole, remedy }) {
  const reader = response.body.getReader();
  let size = 0;
  const pull = async (controller) => {
    try {
      const { done, value } = await reader.read();
      if (!done) {
        size += value.byteLength;
        return controller.enqueue(value);
      }
      if (!isWhole(source, size)) throw new Error('it is not whole');
      controller.close();
    } catch (error) {
      controller.error(brokenOff(error, { signal, source, remedy }));
    }
    source.stop();
  };
  const cancel = (reason) => {
    source.stop();
    return reader.cancel(reason);
  };
  return new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
}

/** Whether a cut can be told from an end. Browsers tell by themselves, and show pages no such headers. */
export function showsItsEnd(headers) {
  if (!CAN_STREAM) return true;
  if (/\bclose\b/i.test(headers.get('Connection') ?? '')) return false;
  return headers.has('Transfer-Encoding') || headers.has('Content-Length');
}
