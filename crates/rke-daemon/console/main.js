// Asks for what has changed and hands it to the parts of the page.

import { ask, Refused } from './api.js';
import { listen } from './connection.js';
import * as create from './create.js';
import * as keys from './keys.js';
import * as protection from './protection.js';
import * as raidas from './raidas.js';
import * as sessions from './sessions.js';
import * as tryit from './tryit.js';

const known = { keys: [] };

const LOADERS = {
  async sessions() {
    const [listed, status] = await Promise.all([ask('GET', 'sessions'), ask('GET', 'status')]);
    sessions.render(listed, status);
    create.room(listed.sessions, status.sessions.max);
    create.offer(status.daemon.example, [...listed.sessions.map((session) => session.domain), ...known.keys]);
    tryit.render(listed.sessions);
    protection.memory(status);
    protection.running(status);
  },
  async keys() {
    const { keys: cached } = await ask('GET', 'keys');
    known.keys = cached.map((key) => key.domain);
    keys.render(cached);
  },
  async raidas() {
    raidas.render(await ask('GET', 'raidas'));
  },
  async refusals() {
    protection.refusals(await ask('GET', 'refusals'));
  },
};

const loading = new Map();

// Loads a part again. While it is on its way, another call only has it loaded once more afterwards.
async function load(name) {
  if (loading.has(name)) return loading.set(name, 'again');
  do {
    loading.set(name, 'once');
    try {
      await LOADERS[name]();
    } catch (error) {
      if (!(error instanceof Refused)) break;
    }
  } while (loading.get(name) === 'again');
  loading.delete(name);
}

for (const part of [create, keys, protection, raidas, sessions, tryit]) part.start();

listen((name, data) => {
  if (name === 'exchange') create.step(data);
  else if (LOADERS[name]) load(name);
});
