/** For Node: a `fetch` that asks the daemon at this unix socket, whatever host the URL names. */
export function unixSocket(path: string): typeof fetch;
