// Data to a session's Content Server and back.

import { AnswerError } from './errors.js';
import { Source, answerStream, showsItsEnd } from './streams.js';

const REMEDY =
  'what arrived is incomplete; the tunnel was cut, or the command behind it exited with a status other than 0';

/**
 * Sends data as it is read, and gives what comes. `fetch` shows no trailers, so none are asked for: then the daemon
 * breaks the response off if the command behind the tunnel fails, and a successful end means status 0.
 */
export async function tunnel(calls, path, data, signal) {
  const source = new Source(data);
  const body = await source.body(signal);
  // Not with `Connection: close`, as other raw data: Node takes such a response for whole wherever it is cut.
  const headers = { 'Content-Type': 'application/octet-stream' };
  const response = await calls.send('POST', path, { headers, body, signal, source });
  if (!showsItsEnd(response.headers)) {
    source.stop();
    await response.body?.cancel();
    throw new AnswerError(calls.url, 'its response has no recognisable end');
  }
  return answerStream(response, { signal, source, isWhole: () => true, remedy: REMEDY });
}
