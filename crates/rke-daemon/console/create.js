// Opens a session, and shows the shares of the 25 RAIDAs as they arrive.

import { ask, now } from './api.js';
import { byId, make, show, write } from './dom.js';
import { failure, full } from './failures.js';
import { plural } from './words.js';

const RAIDAS = 25;
const REQUIRED = 13;

// Steps and the answer come by two ways: the last steps may be behind it.
const LATE = 2000;

const cells = [];
let opening = false;
let watched = null;
let unwatching;
let offered = false;

export function start() {
  for (let raida = 0; raida < RAIDAS; raida += 1) cells.push(make('span', { class: 'share' }, String(raida)));
  byId('share-grid').append(...cells);
  byId('open-form').addEventListener('submit', open);
}

// Fills in what the daemon proposes, where the user has not begun to write.
export function offer(example, known) {
  byId('open-domains').replaceChildren(...[...new Set(known)].map((value) => make('option', { value })));
  if (offered || !example) return;
  offered = true;
  const [name, wallet] = [byId('open-domain'), byId('open-wallet')];
  if (name.value || wallet.value) return;
  name.value = example.domain;
  wallet.value = example.wallet_path;
}

export function room(sessions, max) {
  const isFull = sessions.length >= max;
  const ends = sessions.map((session) => Date.parse(session.expires_at) - now());
  show(byId('open-full'), isFull);
  if (isFull) write(byId('open-full'), full(max, ends.length > 0 ? Math.min(...ends) : null));
  byId('open-button').disabled = isFull || opening;
}

async function open(event) {
  event.preventDefault();
  const domain = byId('open-domain').value.trim().toLowerCase().replace(/\.$/, '');
  begin(domain);
  try {
    const parameters = { domain, wallet_path: byId('open-wallet').value.trim() };
    if (byId('open-fresh').checked) parameters.fresh = true;
    succeed(await ask('POST', 'session', parameters));
  } catch (error) {
    write(byId('share-need'), 'No session was opened');
    byId('open-result').replaceChildren(failure(error));
  }
  opening = false;
  byId('open-button').disabled = false;
  unwatching = setTimeout(() => { watched = null; }, LATE);
}

function begin(domain) {
  opening = true;
  watched = domain;
  clearTimeout(unwatching);
  for (const cell of cells) cell.dataset.state = '';
  byId('open-button').disabled = true;
  byId('open-result').replaceChildren();
  write(byId('share-count'), 'Looking the domain up');
  write(byId('share-need'), `${REQUIRED} of ${RAIDAS} have to answer`);
}

function succeed(session) {
  const how = session.from_cache ? 'from the cache, without asking a RAIDA' : 'with new shares from the RAIDAs';
  if (session.from_cache) write(byId('share-count'), 'No RAIDA was asked');
  write(byId('share-need'), session.from_cache ? 'The cache was enough' : 'The session is open');
  byId('open-result').replaceChildren(make('p', { class: 'notice good' }, `Session with ${session.domain} opened ${how}.`));
}

// A step of an exchange: shown where it is the one that was begun here.
export function step({ domain: of, raida, state, fault }) {
  if (of !== watched) return;
  const cell = cells[raida];
  // A late reminder does not take back an answer.
  if (state === 'asked' && cell.dataset.state !== '') return;
  cell.dataset.state = state;
  cell.title = `RAIDA ${raida}: ${fault ?? state}`;
  const came = cells.filter((cell) => cell.dataset.state === 'answered').length;
  write(byId('share-count'), `${plural(came, 'share')} of ${RAIDAS}`);
  if (!opening) return;
  const missing = REQUIRED - came;
  write(byId('share-need'), missing > 0 ? `${missing} more needed` : 'Enough for a key');
}
