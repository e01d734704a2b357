// What can go wrong, one class for each thing that a caller can do about it.

/** The base of all errors of this library. */
export class RkeError extends Error {
  /**
   * @param {string} reason what is wrong
   * @param {string} remedy what to do about it; empty if the reason says it
   */
  constructor(reason, remedy = '', options = undefined) {
    super(remedy ? `${reason}: ${remedy}` : reason, options);
    this.name = new.target.name;
    this.reason = reason;
    this.remedy = remedy;
    /** The HTTP status, if the daemon has responded. */
    this.status = undefined;
    /** The `code` of its response: the same number. */
    this.code = undefined;
    /** The other fields of its response: `session_id`, `domain`, `wallet_path` and others. */
    this.fields = {};
    /** Names the request in the daemon's log, if the engine shows it. */
    this.requestId = undefined;
  }
}

/** Nothing responds there, or the browser does not let this page read the response. */
export class NoDaemonError extends RkeError {
  constructor(url, cause) {
    const origin = globalThis.location?.origin;
    const page = origin ? `, or let pages of ${origin} in with --allow-origin` : '';
    const remedy = `start one with \`rke serve\`, name another address${page}`;
    super(`No daemon responds at ${url} (${innermost(cause)})`, remedy, { cause });
  }
}

/** The response was cut short. What arrived is incomplete and must not be used. */
export class BrokenOffError extends RkeError {
  constructor(cause, remedy = 'discard what arrived; the session has ended, the data was altered, or the daemon is gone') {
    super(`The daemon broke the response off (${innermost(cause)})`, remedy, { cause });
  }
}

/** The program at this address is not a daemon that this library understands. */
export class AnswerError extends RkeError {
  constructor(url, oddity, cause) {
    const remedy = 'check what listens there, and whether daemon and library have the same version';
    super(`The program at ${url} is not an rke daemon: ${oddity}`, remedy, { cause });
  }
}

/** More data than a browser can send to a daemon in one body. */
export class TooLargeError extends RkeError {
  constructor(limit) {
    const remedy = 'seal it in parts, or use a program outside of the browser';
    super(`A browser can send ${limit} bytes in one body at most`, remedy);
  }
}

/** The daemon refused: it responded with an error. */
class Refusal extends RkeError {
  constructor(status, answer, remedy) {
    super(answer.message, remedy);
    const { error: _, message: __, code, ...fields } = answer;
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

/** 400, 405, 413, 414, 431: the request is wrong, and the reason says how. */
export class RequestError extends Refusal {
  constructor(status, answer) {
    super(status, answer, '');
  }
}

/** 401, 403, 421: the daemon does not let this client do it, or knows the domain by another Content Server. */
export class NotAllowedError extends Refusal {
  constructor(status, answer) {
    super(status, answer, status === 401 ? '' : "ask the daemon's operator");
  }
}

/** 404: no session has this id. It has expired, was deleted, or never was. */
export class NotFoundError extends Refusal {
  constructor(status, answer) {
    super(status, answer, 'open a new one');
  }
}

/** 409: the session's key has been used as much as it may be. */
export class FreshKeyError extends Refusal {
  constructor(status, answer) {
    super(status, answer, 'open a session with `fresh: true`');
  }
}

/** 422: the sealed data was altered or cut, or sealed in another session or with other associated data. */
export class DamagedError extends Refusal {
  constructor(status, answer) {
    super(status, answer, 'do not use this data; check session and associated data, or get it again');
  }
}

/** 429: no place is free. */
export class LimitError extends Refusal {
  constructor(status, answer, headers) {
    const seconds = Number.parseInt(headers.get('Retry-After') ?? '', 10);
    const wait = Number.isNaN(seconds) ? 'wait' : `wait ${seconds} seconds`;
    super(status, answer, `delete a session, or ${wait}`);
    /** After how many seconds to try again, if the daemon says so. */
    this.retryAfter = Number.isNaN(seconds) ? undefined : seconds;
  }
}

/** 503: the RAIDAs made no key, or the daemon has too much to do. */
export class ExchangeError extends Refusal {
  constructor(status, answer) {
    super(status, answer, `try again later${answer.faults ? '; the fields say which RAIDAs failed' : ''}`);
    /** Indexes of the RAIDAs that gave a share. */
    this.answered = answer.answered ?? [];
    /** The RAIDAs that gave none, and why. */
    this.faults = answer.faults ?? [];
  }
}

/** 502: what the daemon needs from others failed: DNS, the Content Server, or the shares of too many RAIDAs. */
export class UpstreamError extends Refusal {
  constructor(status, answer) {
    super(status, answer, 'check the domain, its DNS records and its Content Server');
  }
}

/** 408, 500: the daemon could not do it. */
export class DaemonError extends Refusal {
  constructor(status, answer) {
    super(status, answer, "try again; if it persists, read the daemon's log");
  }
}

const CLASSES = new Map([
  [401, NotAllowedError],
  [403, NotAllowedError],
  [404, NotFoundError],
  [408, DaemonError],
  [409, FreshKeyError],
  [421, NotAllowedError],
  [422, DamagedError],
  [429, LimitError],
  [502, UpstreamError],
  [503, ExchangeError],
]);

/** The error for an error response of the daemon. */
export function refusal(status, answer, headers) {
  const error = new (classOf(status, answer))(status, answer, headers);
  error.requestId = headers.get('X-Request-Id') ?? undefined;
  return error;
}

function classOf(status, answer) {
  if (status === 404 && !('session_id' in answer)) return RequestError;
  return CLASSES.get(status) ?? (status < 500 ? RequestError : DaemonError);
}

/** What the system said: engines wrap it. */
function innermost(error) {
  let inner = error;
  while (inner?.cause) inner = inner.cause;
  return inner?.message || inner?.code || String(inner);
}
