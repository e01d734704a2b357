// The types of the library. Responses keep the daemon's names: docs/api.md describes it.

declare global {
  interface SymbolConstructor {
    /** Known to engines that have `await using`. */
    readonly asyncDispose: unique symbol;
  }
}

/** Data in memory. A text stands for its UTF-8. */
export type Data = string | ArrayBuffer | ArrayBufferView | Blob;

/** Data that is read in pieces. */
export type DataStream =
  | ReadableStream<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>
  | Iterable<Uint8Array>
  | Blob;

export interface Cancellable {
  /** Cancels the request and its stream. */
  signal?: AbortSignal;
}

export interface Sealing extends Cancellable {
  /** Bytes that are not in the sealed data, and have to be the same when it is opened. */
  associatedData?: string | ArrayBuffer | ArrayBufferView;
}

export interface Exporting extends Cancellable {
  /** What else the key is bound to; nothing by default. */
  context?: string | ArrayBuffer | ArrayBufferView;
  /** Bytes of the key, 16 to 64; 32 by default. */
  length?: number;
}

export interface RkeOptions {
  /** The address of the daemon; `http://127.0.0.1:8080` by default. */
  url?: string;
  /** The token of a daemon with `--require-token`, or a function that gets it, called for each request. */
  token?: string | (() => string | undefined | Promise<string | undefined>);
  /** A replacement for the engine's own `fetch`. */
  fetch?: typeof fetch;
}

export interface OpenOptions extends Cancellable {
  /** The domain of the Content Server. */
  domain: string;
  /** Absolute path of the wallet folder on the daemon's machine. */
  walletPath: string;
  /** Asks the RAIDAs even if the daemon's cache could serve. */
  fresh?: boolean;
}

export interface Created {
  command: 'rke_session_create';
  success: true;
  session_id: string;
  domain: string;
  cs_id: string;
  expires_at: string;
  /** Whether it was opened without asking a RAIDA. It has a key of its own in any case. */
  from_cache: boolean;
}

export interface SessionRow {
  session_id: string;
  domain: string;
  cs_id: string;
  created_at: string;
  expires_at: string;
  encrypt_count: number;
  decrypt_count: number;
}

export interface Shown extends SessionRow {
  key_bits: number;
  envelope: number[];
  raidas: number[];
  liars: number[];
  from_cache: boolean;
  confirmed: boolean;
  /** The name of its key, the same at the Content Server: 32 hexadecimal digits. Not secret. Null where the key has 8 bits. */
  key_id: string | null;
  /** Whether recorded traffic stays secret when the coins and the secrets of all servers are stolen later. */
  forward_secret: boolean;
  /** How well the two ends know each other; `no` where the key has 8 bits. */
  authenticated: 'strong' | 'weak' | 'no';
  /** The coin that the Content Server has seen proven, as `0:1001`; null where it has seen none. */
  coin: string | null;
  /** Why the Content Server broke off the session's tunnel that ended last; null where it did not. */
  tunnel_broken_off: string | null;
  /** Whether the Content Server said that it no longer has the session's key when the latest tunnel was opened. */
  key_gone: boolean;
}

export interface Sessions {
  command: 'rke_sessions';
  success: true;
  total: number;
  active: number;
  sessions: SessionRow[];
  /** How many of them have a key of 8 bits. */
  weak: number;
  /** How many of them have a strong key, but ends that know each other by 1-byte shares only. */
  weakly_authenticated: number;
}

export interface Renewed {
  command: 'rke_session_renew';
  success: true;
  session_id: string;
  expires_at: string;
}

export interface Wipe {
  scanned_bytes: number;
  hits: number;
  micros: number;
  /** How many have searched, if several share sessions: bytes and hits are those of all of them. */
  machines?: number;
}

export interface Deleted {
  command: 'rke_session_delete';
  success: true;
  session_id: string;
  /** Only with `verify`. */
  wipe?: Wipe;
  /** Only with `everywhere`: the state of the key at the Content Server. */
  remote?: 'forgotten' | 'pending' | 'unsupported';
}

export interface Keys {
  command: 'rke_keys';
  success: true;
  total: number;
  keys: { domain: string; cs_id: string; expires_at: string; key_bits: number; coins: string[] }[];
}

export interface Discovered {
  command: 'rke_discover';
  success: true;
  domain: string;
  target_host: string;
  target_port: number;
  min_raidas_required: number;
  key_sets: { key_id: string; cs_id: string; server_count: number }[];
  warnings?: string[];
}

export interface Raida {
  raida: number;
  endpoint: string | null;
  state: 'well' | 'failing' | 'no_key_set' | 'lying' | 'unknown';
  last_ms: number | null;
  median_ms: number | null;
  asked: number;
  answered: number;
  lies: number;
  form: 'envelope_5_garbled' | 'envelope_1_restarting' | 'envelope_1_continuing' | null;
  last_fault: string | null;
  last_fault_at: string | null;
  history_ms: (number | null)[];
}

export interface Raidas {
  command: 'rke_raidas' | 'rke_raidas_refresh';
  success: true;
  required: number;
  margin: number | null;
  raidas: Raida[];
  /** The RAIDA directory of the guardians; null if the daemon has none. */
  directory: RaidaDirectory | null;
}

export interface RaidaDirectory {
  guardians: number;
  needed: number;
  agreed_at: string | null;
  asked_at: string | null;
  answered: number | null;
  faults: { guardian: string; fault: string }[];
  raidas: { raida: number; endpoints: string[]; guardians: number; agreed_at: string }[];
}

export interface Status {
  command: 'rke_status';
  success: true;
  sessions: { total: number; active: number; max: number };
  keystore: { total: number; valid: number; expired: number; max: number; default_ttl_hours: number };
  config: { session_timeout_sec: number; [setting: string]: unknown };
  secret_memory: {
    kind: 'secretmem' | 'locked';
    bytes: number;
    slots: number;
    slots_used: number;
    inspection: 'refused' | 'allowed';
    residues_found: number;
  };
  daemon: {
    uptime_sec: number;
    started_at: string;
    /** Only with `rke dev`: a session that can be opened here. */
    example?: { domain: string; wallet_path: string };
  };
  /** Deleted keys at Content Servers. */
  remote_deletions: { pending: number; confirmed: number };
  /** What guardians agree on; null where the daemon has none. */
  directory: { guardians: number; needed: number; raidas: number; agreed_at: string | null } | null;
  /** What the kernel refuses the daemon. */
  sandbox: { landlock: 'off' | 'writes' | 'reads_and_writes'; seccomp: boolean; no_new_privs: boolean };
}

/** One step of an exchange. */
export interface ExchangeStep {
  domain: string;
  /** The index of a RAIDA. */
  raida: number;
  state: 'asked' | 'answered' | 'failed';
  /** How long the response took, if the state is `answered`. */
  ms: number | null;
  /** Why, if the state is `failed`. */
  fault: string | null;
}

/**
 * A change at the daemon: a step of an exchange, or the endpoint whose response has changed. Later daemons may have events with
 * other names.
 */
export type RkeEvent =
  | { name: 'sessions' | 'keys' | 'raidas' | 'activity' | 'refusals'; data: Record<string, never> }
  | { name: 'exchange'; data: ExchangeStep };

export interface DeleteOptions extends Cancellable {
  /** Removes what the cache keeps for the domain too. */
  forget?: boolean;
  /** Makes the daemon scan its memory for the wiped key; the erasure receipt is in `wipe`. */
  verify?: boolean;
  /** Waits up to five seconds for the Content Server to wipe the key too; `remote` says whether it has. */
  everywhere?: boolean;
}

export interface Encrypted {
  ciphertext: Uint8Array;
  /** 32 hexadecimal digits. Keep it with the ciphertext. */
  nonce: string;
}

export interface EncryptedStream {
  stream: ReadableStream<Uint8Array>;
  /** 32 hexadecimal digits. Keep it with the ciphertext. */
  nonce: string;
}

/** A daemon. */
export class Rke {
  constructor(options?: RkeOptions);
  /** Where the daemon is asked. */
  readonly url: string;
  /** Opens a session. */
  open(options: OpenOptions): Promise<Session>;
  /** A session that was opened elsewhere. It makes no request: the first use shows whether it lives. */
  session(id: string): Session;
  /** Lists the sessions. */
  sessions(options?: Cancellable): Promise<Sessions>;
  /** Ends all sessions, or those of a domain, and returns their number. */
  deleteSessions(options?: { domain?: string; forget?: boolean } & Cancellable): Promise<number>;
  /** Lists the cached keys, which open later sessions without asking the RAIDAs. No secret is in it. */
  keys(options?: Cancellable): Promise<Keys>;
  /** Removes all cached keys, or those of a domain, and returns their number. Sessions stay open. */
  deleteKeys(options?: { domain?: string } & Cancellable): Promise<number>;
  /** Looks up a domain's Content Server in DNS. */
  discover(domain: string, options?: Cancellable): Promise<Discovered>;
  /** Shows the health of the RAIDAs. */
  raidas(options?: Cancellable): Promise<Raidas>;
  /** Makes the daemon ask its guardians where the RAIDAs are, and shows their health. */
  refreshRaidas(options?: Cancellable): Promise<Raidas>;
  /** Shows the state of the daemon. */
  status(options?: Cancellable): Promise<Status>;
  /** Listens to changes at the daemon, and to the steps of its exchanges. In a page: to those of its own origin. */
  events(options?: Cancellable): Promise<Events>;
}

/**
 * Events as they happen, from `Rke.events`. Iterate over it: it ends where the daemon stops, and throws a BrokenOffError where the
 * connection is cut.
 */
export class Events implements AsyncIterableIterator<RkeEvent> {
  private constructor();
  /** The next event, as iterators give it. */
  next(): Promise<IteratorResult<RkeEvent, undefined>>;
  /** What the end of a loop does: `close()`. */
  return(): Promise<IteratorResult<RkeEvent, undefined>>;
  /** Listens no longer. A `next()` that waits gives the end. */
  close(): Promise<void>;
  [Symbol.asyncIterator](): this;
  /** What `await using` does: `close()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A session of a daemon, from `Rke.open` or `Rke.session`. Its key never leaves the daemon. */
export class Session {
  private constructor();
  /** The id. Anyone who has it can use the session. */
  readonly id: string;
  /** The response that opened it; undefined if it was opened elsewhere. */
  readonly created: Created | undefined;
  /** When it expires, as far as this object knows. */
  readonly expiresAt: Date | undefined;
  /** How its key was made, and how often it was used. */
  show(options?: Cancellable): Promise<Shown>;
  /** Restarts its lifetime. The new expiry is in `expiresAt`, too. */
  renew(options?: Cancellable): Promise<Renewed>;
  /** Seals data. It opens only in this session and while the session lives, and alterations are detected. */
  seal(data: Data, options?: Sealing): Promise<Uint8Array>;
  /** Opens what was sealed, or throws a DamagedError. */
  open(sealed: Data, options?: Sealing): Promise<Uint8Array>;
  /** The same for a text that was sealed. */
  openText(sealed: Data, options?: Sealing): Promise<string>;
  /** Seals a stream of any size as it is read. */
  sealStream(data: DataStream, options?: Sealing): Promise<ReadableStream<Uint8Array>>;
  /** Opens a sealed stream as it comes. Only a successful end shows that nothing is missing. */
  openStream(sealed: DataStream, options?: Sealing): Promise<ReadableStream<Uint8Array>>;
  /** Encrypts data in counter mode for this session, while it lives. Alterations are not detected. */
  encrypt(data: Data, options?: Cancellable): Promise<Encrypted>;
  /** The reverse of `encrypt`. */
  decrypt(ciphertext: Data, nonce: string, options?: Cancellable): Promise<Uint8Array>;
  /** The same for a text that was encrypted. */
  decryptText(ciphertext: Data, nonce: string, options?: Cancellable): Promise<string>;
  /** Encrypts a stream of any size as it is read. Its nonce is known at once. */
  encryptStream(data: DataStream, options?: Cancellable): Promise<EncryptedStream>;
  /** The reverse of `encryptStream`. */
  decryptStream(
    ciphertext: DataStream,
    nonce: string,
    options?: Cancellable,
  ): Promise<ReadableStream<Uint8Array>>;
  /**
   * Derives a key for another program. The other end derives the same one from the same label, context and length. The daemon's
   * operator has to allow the label.
   */
  export(label: string, options?: Exporting): Promise<Uint8Array>;
  /** Sends data to the Content Server and returns what comes back. Only a successful end shows that nothing is missing. */
  tunnel(data?: DataStream, options?: Cancellable): Promise<ReadableStream<Uint8Array>>;
  /** Ends it: its id is invalid, its key is wiped and cannot be made again when this resolves. */
  delete(options?: DeleteOptions): Promise<Deleted>;
  /** Ends it, unless it has already ended. */
  close(options?: Cancellable): Promise<void>;
  /** What `await using` does: `close()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The base of all errors of this library. `message` is `reason` and `remedy` together. */
export class RkeError extends Error {
  /** What is wrong: the daemon's own words, if it has responded. */
  readonly reason: string;
  /** What to do about it; empty if the reason says it. */
  readonly remedy: string;
  /** The HTTP status, if the daemon has responded. */
  readonly status: number | undefined;
  /** The `code` of its response: the same number. */
  readonly code: number | undefined;
  /** The other fields of its response: `session_id`, `domain`, `wallet_path` and others. */
  readonly fields: Record<string, unknown>;
  /** Names the request in the daemon's log, if the engine shows it. */
  readonly requestId: string | undefined;
  protected constructor(...parts: never[]);
}

/** Nothing responds there, or the browser does not let this page read the response. */
export class NoDaemonError extends RkeError {}
/** The response was cut short. What arrived is incomplete and must not be used. */
export class BrokenOffError extends RkeError {}
/** The program at this address is not a daemon that this library understands. */
export class AnswerError extends RkeError {}
/** More data than a browser can send to a daemon in one body. */
export class TooLargeError extends RkeError {}
/** 400, 405, 413, 414, 431: the request is wrong, and the reason says how. */
export class RequestError extends RkeError {}
/** 401, 403, 421: the daemon does not let this client do it, or knows the domain by another Content Server. */
export class NotAllowedError extends RkeError {}
/** 404: no session has this id. It has expired, was deleted, or never was. */
export class NotFoundError extends RkeError {}
/** 409: the session's key has been used as much as it may be. */
export class FreshKeyError extends RkeError {}
/** 422: the sealed data was altered or cut, or sealed in another session or with other associated data. */
export class DamagedError extends RkeError {}
/** 502: what the daemon needs from others failed: DNS, the Content Server, or the shares of too many RAIDAs. */
export class UpstreamError extends RkeError {}
/** 408, 500: the daemon could not do it. */
export class DaemonError extends RkeError {}

/** 429: no place is free. */
export class LimitError extends RkeError {
  /** After how many seconds to try again, if the daemon says so. */
  readonly retryAfter: number | undefined;
}

/** 503: the RAIDAs made no key, or the daemon has too much to do. */
export class ExchangeError extends RkeError {
  /** Indexes of the RAIDAs that gave a share. */
  readonly answered: number[];
  /** The RAIDAs that gave none, and why. */
  readonly faults: { raida: number; fault: string }[];
}

/** Bytes, or the UTF-8 of a text, in standard Base64. */
export function toBase64(data: string | ArrayBuffer | ArrayBufferView): string;
/** The bytes that a standard Base64 text stands for. */
export function fromBase64(text: string): Uint8Array;
