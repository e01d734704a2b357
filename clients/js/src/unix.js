// For Node: requests over a daemon's unix socket, which the engine's own `fetch` cannot make.

import { request } from 'node:http';
import { Readable, pipeline } from 'node:stream';

/** A `fetch` that asks the daemon at this socket, whatever host the URL names. */
export function unixSocket(socketPath) {
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      // A connection for each request: none is closed by a daemon that has responded before it had read everything.
      const options = { socketPath, agent: false, method, headers: Object.fromEntries(headers), signal };
      const asked = request(url, options);
      asked.on('error', reject);
      asked.on('response', (answer) => resolve(responseOf(answer)));
      send(body, asked, reject);
    });
}

/** Without `Connection`: each one is used once, and `node:http` notices when it is cut, whatever was announced. */
function responseOf(answer) {
  const { connection: _, ...given } = answer.headers;
  const headers = Object.entries(given).map(([name, value]) => [name, String(value)]);
  return new Response(Readable.toWeb(answer), { status: answer.statusCode, headers });
}

function send(body, asked, reject) {
  if (body instanceof Blob) return send(body.stream(), asked, reject);
  if (!(body instanceof ReadableStream)) return asked.end(body);
  // Once a response has arrived, it says what went wrong.
  pipeline(Readable.fromWeb(body), asked, (error) => error && reject(error));
}
