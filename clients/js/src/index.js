// What applications import. The parts: a daemon (rke.js), a session of it (session.js), what happens at the daemon
// (events.js), what can go wrong (errors.js).

export { fromBase64, toBase64 } from './bytes.js';
export {
  AnswerError,
  BrokenOffError,
  DaemonError,
  DamagedError,
  ExchangeError,
  FreshKeyError,
  LimitError,
  NoDaemonError,
  NotAllowedError,
  NotFoundError,
  RequestError,
  RkeError,
  TooLargeError,
  UpstreamError,
} from './errors.js';
export { Events } from './events.js';
export { Rke } from './rke.js';
export { Session } from './session.js';
