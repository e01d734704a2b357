// Data to a session's Content Server and back.

import { AnswerError } from './errors.js';
import { CAN_STREAM, Source, answerStream } from './streams.js';

const REMEDY =
  'do not take what came for all there is; the tunnel was cut, or the command behind it ended with another status than 0';

/**
 * Sends data as it is read, and gives what comes. `fetch` shows no trailers, so none are asked for: then the daemon
 * breaks the answer off where the command behind the tunnel fails, and its good end means status 0.
 */
export async function tunnel(calls, path, data, signal) {
  const source = new Source(data);
  const body = await source.body(signal);
  // Not with `Connection: close`, as other raw data: Node takes such an answer for whole wherever it is cut.
  const headers = { 'Content-Type': 'application/octet-stream' };
  const response = await calls.send('POST', path, { headers, body, signal, source });
  if (!showsItsEnd(response.headers)) {
    source.stop();
    await response.body?.cancel();
    throw new AnswerError(calls.url, 'nothing shows where its answer ends');
  }
  return answerStream(response, { signal, source, isWhole: () => true, remedy: REMEDY });
}

/** Whether a cut can be told from an end. Browsers tell by themselves, and show pages no such headers. */
function showsItsEnd(headers) {
  if (!CAN_STREAM) return true;
  if (/\bclose\b/i.test(headers.get('Connection') ?? '')) return false;
  return headers.has('Transfer-Encoding') || headers.has('Content-Length');
}
