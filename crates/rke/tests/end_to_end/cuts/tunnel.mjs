// The JavaScript client as a receiver: standard input goes through the tunnel of a session, and what comes to standard
// output. Arguments are the daemon's URL and the session's id. Exits with 0 where all has come, with 255 after a cut.

import { BrokenOffError, Rke, UpstreamError } from '../../../../../clients/js/src/index.js';

const [url, id] = process.argv.slice(2);
try {
  const response = await new Rke({ url }).session(id).tunnel(process.stdin);
  for await (const piece of response) process.stdout.write(piece);
} catch (error) {
  // With anything else Node exits with 1.
  if (!(error instanceof BrokenOffError || error instanceof UpstreamError)) throw error;
  console.error(`rke: ${error.message}`);
  process.exit(255);
}
// Standard input may still be open.
process.exit(0);
