// Asks for what has changed and hands it to the parts of the page.

import * as activity from './activity.js';
import { ask, hasToken, Refused } from './api.js';
import * as appearance from './appearance.js';
import { listen } from './connection.js';
import * as create from './create.js';
import { byId, copy, write } from './dom.js';
import * as gate from './gate.js';
import * as keys from './keys.js';
import * as menu from './menu.js';
import * as protection from './protection.js';
import * as raidas from './raidas.js';
import * as router from './router.js';
import * as sessions from './sessions.js';
import * as shortcuts from './shortcuts.js';
import { shell } from './snippets.js';
import * as tryit from './tryit.js';

const known = { keys: [] };

const LOADERS = {
  async sessions() {
    const [listed, status] = await Promise.all([ask('GET', 'sessions'), ask('GET', 'status')]);
    sessions.render(listed, status);
    create.room(listed.sessions, status.sessions.max);
    create.offer(status.daemon.example, [...listed.sessions.map((session) => session.domain), ...known.keys]);
    protection.render(status);
    start(status.daemon.example);
    delete byId('console').dataset.loading;
  },
  async keys() {
    const { keys: cached } = await ask('GET', 'keys');
    known.keys = cached.map((key) => key.domain);
    keys.render(cached);
  },
  async raidas() {
    raidas.render(await ask('GET', 'raidas'));
  },
  async activity() {
    activity.render(await ask('GET', 'activity'));
  },
  async refusals() {
    gate.refusals(await ask('GET', 'refusals'));
  },
};

// Where these are shown; elsewhere they are loaded when somebody goes there.
const SHOWN_IN = { activity: ['overview', 'activity'] };

// What takes long to load is loaded less often: the page is busy with it for a fifth of the time at most.
const REST = 4;
const MUCH = 100;

const loading = new Map();
const late = new Set();

// Loads a part again. While it is on its way, another call only has it loaded once more afterwards.
async function load(name) {
  if (loading.has(name)) return loading.set(name, 'again');
  do {
    loading.set(name, 'once');
    const began = performance.now();
    try {
      await LOADERS[name]();
    } catch (error) {
      if (!(error instanceof Refused)) break;
    }
    const took = performance.now() - began;
    if (took > MUCH) await new Promise((resolve) => setTimeout(resolve, REST * took));
  } while (loading.get(name) === 'again');
  loading.delete(name);
}

function changed(name) {
  const places = SHOWN_IN[name];
  if (places && !places.includes(router.current())) late.add(name);
  else load(name);
}

// Catches up with what has changed while another view was shown.
function entered(view) {
  for (const name of late) {
    if (!SHOWN_IN[name].includes(view)) continue;
    late.delete(name);
    load(name);
  }
}

// The beginning of the API, with the session that the daemon proposes, where it does.
function start(example) {
  write(byId('start-text'), shell(example, hasToken()));
}

for (const part of [activity, appearance, gate, keys, menu, protection, raidas, sessions, shortcuts, tryit]) part.start();
create.start(sessions.openById);
router.start(entered);
byId('start-copy').addEventListener('click', () => copy(byId('start-text').textContent, 'Commands'));

listen((name, data) => {
  if (name === 'exchange') create.step(data);
  else if (LOADERS[name]) changed(name);
});
