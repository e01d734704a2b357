// The daemons that the tests ask: a JSON file that RKE_CONFORMANCE names. clients/conformance/README.md.

import { readFileSync } from 'node:fs';

const file = process.env.RKE_CONFORMANCE;
if (!file) {
  throw new Error(
    'RKE_CONFORMANCE has to name a file that says where daemons are: clients/conformance/README.md. ' +
      '`cargo test -p rke --test end_to_end clients` starts them and does so.',
  );
}

/** `domain`, and `daemons` by their names. */
export const stage = JSON.parse(readFileSync(file, 'utf8'));
