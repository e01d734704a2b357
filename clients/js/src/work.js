// What a session's key does with data: whole, or as a stream.

import { bytesOf, fromBase64, isBlob, readBytes, toBase64 } from './bytes.js';
import { AnswerError } from './errors.js';
import { Source, answerStream, checkSize } from './streams.js';

/** The field of the JSON that the data is in, and the one that the result is in. */
const FIELDS = {
  seal: ['plaintext', 'sealed'],
  open: ['sealed', 'plaintext'],
  encrypt: ['plaintext', 'ciphertext'],
  decrypt: ['ciphertext', 'plaintext'],
};

/** Whether a response of this length is complete for data of that length. */
const IS_WHOLE = {
  seal: (given, got) => got === sealedLength(given),
  open: (given, got) => given === sealedLength(got),
  encrypt: (given, got) => got === given,
  decrypt: (given, got) => got === given,
};

/** How long sealed data is: docs/seal-format.md, section 2. */
function sealedLength(length) {
  return 72 + length + 16 * Math.max(1, Math.ceil(length / 65536));
}

/** The headers of a raw body that stand for fields other than the data. */
const HEADERS = { nonce: 'X-RKE-Nonce', associated_data: 'X-RKE-Associated-Data' };

/**
 * Up to this many bytes go as JSON, which the daemon reads whole and checks before it responds; more goes as
 * a raw body. JSON may have 1 MiB, and Base64 makes four bytes of three.
 */
const JSON_LIMIT = 512 * 1024;

/** One thing that can be done with a session's key. */
export class Work {
  #calls;
  #id;
  #what;
  #beside;

  /** `beside` are the fields other than the data, by the daemon's names. */
  constructor(calls, id, what, beside = {}) {
    this.#calls = calls;
    this.#id = id;
    this.#what = what;
    this.#beside = Object.fromEntries(Object.entries(beside).filter(([, value]) => value !== undefined));
  }

  get #path() {
    return `/api/rke/${this.#what}`;
  }

  /** Does it with data that is all there. Gives the result, and the nonce where there is one. */
  async whole(data, signal) {
    const body = isBlob(data) ? data : bytesOf(data);
    const size = isBlob(body) ? body.size : body.byteLength;
    if (size <= JSON_LIMIT) return this.#json(await readBytes(body), signal);
    checkSize(size);
    const isWhole = (got) => IS_WHOLE[this.#what](size, got);
    const { bytes, headers } = await this.#calls.bytes(this.#path, this.#headers, body, { signal, isWhole });
    return { bytes, nonce: this.#nonceIn(headers) };
  }

  /** Does it with data as it is read. */
  async stream(data, signal) {
    const source = new Source(data);
    const body = await source.body(signal);
    const response = await this.#calls.raw(this.#path, this.#headers, body, { signal, source });
    const isWhole = ({ ended, size }, got) => ended && IS_WHOLE[this.#what](size, got);
    const stream = answerStream(response, { signal, source, isWhole });
    return { stream, nonce: this.#nonceIn(response.headers) };
  }

  async #json(bytes, signal) {
    const [given, result] = FIELDS[this.#what];
    const json = { session_id: this.#id, [given]: toBase64(bytes), ...this.#beside };
    const answer = await this.#calls.json('POST', this.#path, { json, signal });
    return { bytes: fromBase64(answer[result]), nonce: answer.nonce };
  }

  get #headers() {
    const beside = Object.entries(this.#beside).map(([name, value]) => [HEADERS[name], value]);
    return { 'X-RKE-Session': this.#id, ...Object.fromEntries(beside) };
  }

  #nonceIn(headers) {
    if (this.#what !== 'encrypt') return undefined;
    const nonce = headers.get(HEADERS.nonce);
    if (nonce === null) throw new AnswerError(this.#calls.url, 'its answer has no nonce');
    return nonce;
  }
}

/** Associated data as the daemon takes it. */
export function associated(data) {
  return data === undefined ? undefined : toBase64(data);
}
