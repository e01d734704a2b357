// A daemon: opens sessions, and describes itself.

import { Calls } from './calls.js';
import { listen } from './events.js';
import { Session } from './session.js';

/** The default address of a daemon. */
const DEFAULT_URL = 'http://127.0.0.1:8080';

/** A daemon. */
export class Rke {
  #calls;

  /**
   * `token` is the daemon's token or a function that returns it, which is called for each request; `fetch` is
   * a replacement for the engine's `fetch`.
   */
  constructor({ url = DEFAULT_URL, token, fetch } = {}) {
    this.#calls = new Calls(url, token, fetch);
  }

  /** Where the daemon is asked. */
  get url() {
    return this.#calls.url;
  }

  /**
   * Opens a session, with a key of its own. The wallet is a folder on the daemon's machine; `fresh` asks the RAIDAs
   * even if the daemon's cache could serve.
   */
  async open({ domain, walletPath, fresh = false, signal }) {
    const json = { domain, wallet_path: walletPath, fresh };
    const created = await this.#calls.json('POST', '/api/rke/session', { json, signal });
    return new Session(this.#calls, created.session_id, created);
  }

  /** A session that was opened elsewhere. It makes no request: the first use shows whether it lives. */
  session(id) {
    return new Session(this.#calls, id);
  }

  /** Lists the sessions. In a page: those that its origin has opened. */
  async sessions({ signal } = {}) {
    return this.#calls.json('GET', '/api/rke/sessions', { signal });
  }

  /** Ends all sessions, or those of a domain, and returns their number. In a page: those that its origin has opened. */
  async deleteSessions({ domain, forget, signal } = {}) {
    const query = { domain, forget };
    return (await this.#calls.json('DELETE', '/api/rke/sessions', { query, signal })).deleted;
  }

  /** Lists the cached keys, which open later sessions without asking the RAIDAs. No secret is in it. */
  async keys({ signal } = {}) {
    return this.#calls.json('GET', '/api/rke/keys', { signal });
  }

  /** Removes all cached keys, or those of a domain, and returns their number. Sessions stay open. */
  async deleteKeys({ domain, signal } = {}) {
    return (await this.#calls.json('DELETE', '/api/rke/keys', { query: { domain }, signal })).deleted;
  }

  /** Looks up a domain's Content Server in DNS. */
  async discover(domain, { signal } = {}) {
    return this.#calls.json('GET', '/api/rke/discover', { query: { domain }, signal });
  }

  /** Shows the health of the RAIDAs. */
  async raidas({ signal } = {}) {
    return this.#calls.json('GET', '/api/rke/raidas', { signal });
  }

  /** Makes the daemon ask its guardians where the RAIDAs are, and shows their health. */
  async refreshRaidas({ signal } = {}) {
    return this.#calls.json('POST', '/api/rke/raidas/refresh', { signal });
  }

  /** Shows the state of the daemon. */
  async status({ signal } = {}) {
    return this.#calls.json('GET', '/api/rke/status', { signal });
  }

  /** Listens to changes at the daemon, and to the steps of its exchanges. In a page: to those of its own origin. */
  async events({ signal } = {}) {
    return listen(this.#calls, signal);
  }
}
