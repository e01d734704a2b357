// A session: what is done with its key, and its end.

import { fromBase64, textOf } from './bytes.js';
import { NotFoundError } from './errors.js';
import { tunnel } from './tunnel.js';
import { Work, associated } from './work.js';

/** A session of a daemon. Its key never leaves the daemon. */
export class Session {
  #calls;
  #id;
  #created;
  #expiresAt;

  /** Use `rke.open` or `rke.session`. */
  constructor(calls, id, created) {
    if (typeof id !== 'string' || !/^[\x21-\x7e]+$/.test(id) || /^\.+$/.test(id)) {
      throw new TypeError("a session's id is a text of 32 hexadecimal digits");
    }
    this.#calls = calls;
    this.#id = id;
    this.#created = created;
    if (created) this.#expiresAt = new Date(created.expires_at);
  }

  /** The id. Anyone who has it can use the session. */
  get id() {
    return this.#id;
  }

  /** The response that opened it; undefined if it was opened elsewhere. */
  get created() {
    return this.#created;
  }

  /** When it expires, as far as this object knows. */
  get expiresAt() {
    return this.#expiresAt;
  }

  /** How its key was made, and how often it was used. */
  async show({ signal } = {}) {
    return this.#calls.json('GET', this.#path(), { signal });
  }

  /** Restarts its lifetime. The new expiry is in `expiresAt`, too. */
  async renew({ signal } = {}) {
    const answer = await this.#calls.json('POST', `${this.#path()}/renew`, { signal });
    this.#expiresAt = new Date(answer.expires_at);
    return answer;
  }

  /**
   * Seals data: nobody can read it without the key, nor alter it undetected. It opens only in this session, and only
   * while the session lives.
   */
  async seal(data, { associatedData, signal } = {}) {
    return (await this.#sealing('seal', associatedData).whole(data, signal)).bytes;
  }

  /** Opens what was sealed, or throws a DamagedError. */
  async open(sealed, { associatedData, signal } = {}) {
    return (await this.#sealing('open', associatedData).whole(sealed, signal)).bytes;
  }

  /** The same for a text that was sealed. */
  async openText(sealed, options) {
    return textOf(await this.open(sealed, options));
  }

  /** Seals a stream of any size as it is read. */
  async sealStream(data, { associatedData, signal } = {}) {
    return (await this.#sealing('seal', associatedData).stream(data, signal)).stream;
  }

  /**
   * Opens a sealed stream as it comes. What it gives is authentic as far as it has come; only its good end
   * shows that nothing is missing.
   */
  async openStream(sealed, { associatedData, signal } = {}) {
    return (await this.#sealing('open', associatedData).stream(sealed, signal)).stream;
  }

  /**
   * Encrypts data in counter mode. Only this session decrypts it, while it lives. Alterations are not detected; use `seal`
   * if they must be.
   */
  async encrypt(data, { signal } = {}) {
    const { bytes, nonce } = await this.#work('encrypt').whole(data, signal);
    return { ciphertext: bytes, nonce };
  }

  /** The reverse of `encrypt`. */
  async decrypt(ciphertext, nonce, { signal } = {}) {
    return (await this.#work('decrypt', { nonce }).whole(ciphertext, signal)).bytes;
  }

  /** The same for a text that was encrypted. */
  async decryptText(ciphertext, nonce, options) {
    return textOf(await this.decrypt(ciphertext, nonce, options));
  }

  /** Encrypts a stream of any size as it is read. Its nonce is known at once. */
  async encryptStream(data, { signal } = {}) {
    return this.#work('encrypt').stream(data, signal);
  }

  /** The reverse of `encryptStream`. */
  async decryptStream(ciphertext, nonce, { signal } = {}) {
    return (await this.#work('decrypt', { nonce }).stream(ciphertext, signal)).stream;
  }

  /**
   * Derives a key for another program: `length` bytes, 16 to 64. The other end derives the same one from the same label, context
   * and length. The daemon's operator has to allow the label.
   */
  async export(label, { context, length = 32, signal } = {}) {
    const json = { session_id: this.#id, label, context: associated(context), length };
    return fromBase64((await this.#calls.json('POST', '/api/rke/export', { json, signal })).key);
  }

  /**
   * Sends data to the Content Server as it is read, and returns what comes back, as it comes. A good end is one that the
   * Content Server itself has sent, after a command that ended with status 0; everything else is a BrokenOffError. Node sends
   * nothing before the first piece of data is there, browsers send all of it before they read anything.
   */
  async tunnel(data = [], { signal } = {}) {
    return tunnel(this.#calls, `${this.#path()}/tunnel`, data, signal);
  }

  /**
   * Ends it: when this resolves, its id is invalid, its key is wiped and cannot be made again. `forget` removes what the
   * cache keeps for the domain too, `verify` gives a receipt, `everywhere` waits up to five seconds for the Content
   * Server to wipe the key too and says in `remote` whether it has.
   */
  async delete({ forget, verify, everywhere, signal } = {}) {
    const query = { forget, verify, everywhere };
    // With `keepalive` a page that is being left still ends its session.
    return this.#calls.json('DELETE', this.#path(), { query, signal, keepalive: true });
  }

  /** Ends it, unless it has already ended. `await using` does this. */
  async close({ signal } = {}) {
    try {
      await this.delete({ signal });
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  #path() {
    return `/api/rke/session/${encodeURIComponent(this.#id)}`;
  }

  #work(what, beside) {
    return new Work(this.#calls, this.#id, what, beside);
  }

  #sealing(what, associatedData) {
    return this.#work(what, { associated_data: associated(associatedData) });
  }
}

// Engines that know `await using` have this symbol; to others it means nothing.
if (Symbol.asyncDispose) {
  Object.defineProperty(Session.prototype, Symbol.asyncDispose, { value: Session.prototype.close });
}
