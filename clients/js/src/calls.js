// Requests to a daemon, and their results: a successful response, or an error that says what to do.

import { AnswerError, BrokenOffError, NoDaemonError, refusal } from './errors.js';

/** What every request says to the engine. */
const ALWAYS = { cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer' };

/** A daemon's address with the way to get there. */
export class Calls {
  #url;
  #token;
  #fetch;

  constructor(url, token, fetch) {
    this.#url = new URL(url).href.replace(/\/+$/, '');
    this.#token = token;
    this.#fetch = fetch ?? ((...request) => globalThis.fetch(...request));
  }

  get url() {
    return this.#url;
  }

  /** The JSON of a successful response. `json` is the body to send, if there is one. */
  async json(method, path, { query, json, signal, keepalive } = {}) {
    const headers = json === undefined ? {} : { 'Content-Type': 'application/json' };
    const body = json === undefined ? undefined : JSON.stringify(json);
    const response = await this.send(method, path, { query, headers, body, signal, keepalive });
    const answer = await this.#parsed(response, signal);
    if (answer === undefined) throw new AnswerError(this.#url, 'its response is not a JSON object');
    return answer;
  }

  /** The bytes of a successful response to raw data. `isWhole` judges how many there are. */
  async bytes(path, headers, body, { signal, isWhole }) {
    const response = await this.raw(path, headers, body, { signal });
    try {
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (!isWhole(bytes.length)) throw new Error('it is not whole');
      return { bytes, headers: response.headers };
    } catch (error) {
      throw brokenOff(error, { signal });
    }
  }

  /** A successful response to raw data, whose body is still to be read. */
  async raw(path, headers, body, { signal, source }) {
    // A daemon may respond before it has read everything, and then hang up: such a connection must not be reused.
    const all = { 'Content-Type': 'application/octet-stream', Connection: 'close', ...headers };
    return this.send('POST', path, { headers: all, body, signal, source });
  }

  /** A successful response. `source` is where the body comes from, if that can fail. */
  async send(method, path, { query, headers, body, signal, source, keepalive }) {
    const url = this.#url + path + search(query);
    const init = { ...ALWAYS, method, body, signal, keepalive, headers: await this.#headers(headers) };
    if (body instanceof ReadableStream) init.duplex = 'half';
    let response;
    try {
      response = await this.#fetch(url, init);
    } catch (error) {
      source?.stop();
      throw interruption({ signal, source }) ?? new NoDaemonError(this.#url, error);
    }
    if (response.ok) return response;
    const error = await this.#refused(response, signal);
    source?.stop();
    throw error;
  }

  async #headers(given) {
    const headers = new Headers(given);
    // Under a name over plain HTTP, the daemon requires proof that no page of another site sends the request.
    headers.set('X-RKE-Request', '1');
    const token = typeof this.#token === 'function' ? await this.#token() : this.#token;
    if (token) headers.set('Authorization', `Bearer ${token.trim()}`);
    return headers;
  }

  async #refused(response, signal) {
    const answer = await this.#parsed(response, signal);
    if (answer?.error !== true || typeof answer.message !== 'string') {
      return new AnswerError(this.#url, `status ${response.status} without the JSON of an error`);
    }
    return refusal(response.status, answer, response.headers);
  }

  /** The JSON object of a response; undefined if it is not one. */
  async #parsed(response, signal) {
    let text;
    try {
      text = await response.text();
    } catch (error) {
      throw brokenOff(error, { signal });
    }
    try {
      const answer = JSON.parse(text);
      return typeof answer === 'object' && answer !== null ? answer : undefined;
    } catch {
      return undefined;
    }
  }
}

/** What the error of a body that does not go on means. */
export function brokenOff(error, { signal, source, remedy }) {
  return interruption({ signal, source }) ?? new BrokenOffError(error, remedy);
}

/** The caller's own reason why a request does not go on: the signal's, or that of the data's source. */
function interruption({ signal, source }) {
  if (signal?.aborted) return signal.reason;
  return source?.fault;
}

function search(query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== false);
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
