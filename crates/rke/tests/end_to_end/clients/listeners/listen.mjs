// The JavaScript client as a listener: prints the name of each event, and how the events ended. The argument is the
// daemon's URL.

import { BrokenOffError, Rke } from '../../../../../../clients/js/src/index.js';

try {
  for await (const { name } of await new Rke({ url: process.argv[2] }).events()) console.log(name);
  console.log('ended');
} catch (error) {
  if (!(error instanceof BrokenOffError)) throw error;
  console.log('broken off');
}
