// The code in README.md: taken out, and made fit for the daemons of the tests.

/** The pieces of code in a text, each with the lines that it says it prints. */
export function blocksOf(markdown) {
  return [...markdown.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => ({
    code,
    prints: [...code.matchAll(/console\.log\(.*\); \/\/ (.+)$/gm)].map(([, line]) => line),
  }));
}

/** Code whose names stand for what is there. `src` is where the library is. */
export function adapted(code, { domain, daemons: { dev } }, src) {
  return code
    .replaceAll("'rke-client'", `'${src}/index.js'`)
    .replaceAll("'rke-client/unix'", `'${src}/unix.js'`)
    .replaceAll('new Rke()', `new Rke({ url: '${dev.url}' })`)
    .replaceAll('http://localhost:8080', dev.url)
    .replaceAll('content.example.com', domain)
    .replaceAll('/home/alice/wallet', dev.wallet)
    .replaceAll('/run/rke/rke.sock', dev.unix)
    .replaceAll('/var/lib/rke/', '');
}

/** Whether a browser can run it. */
export function isForPages(code) {
  return !code.includes('node:');
}
