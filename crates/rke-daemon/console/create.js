// Opens a session, and shows the shares of the 25 RAIDAs as they arrive.

import { ask, now } from './api.js';
import { byId, make, show, write } from './dom.js';
import { failure, full } from './failures.js';
import { fill, ring } from './ring.js';
import { breakable, faultName } from './words.js';

const RAIDAS = 25;
const REQUIRED = 13;

// Steps and the answer come by two ways: the last steps may be behind it.
const LATE = 2000;

const cells = [];
const round = ring();
let opening = false;
let isFull = false;
let opened = null;
let watched = null;
let unwatching;
let offered = false;

// `showSession` opens the panel of a session by its id.
export function start(showSession) {
  for (let raida = 0; raida < RAIDAS; raida += 1) cells.push(make('span', { class: 'share' }, String(raida)));
  byId('share-grid').append(...cells);
  byId('share-ring').prepend(round);
  fill(round, 0);
  byId('open-form').addEventListener('submit', open);
  byId('open-panel').addEventListener('click', begin);
  byId('open-show').addEventListener('click', () => {
    byId('open').close();
    showSession(opened);
  });
}

// Shows the form, clean unless a session is being opened.
function begin() {
  if (!opening) reset();
  byId('open').showModal();
  const empty = ['open-domain', 'open-wallet'].map(byId).find((field) => field.value === '');
  (empty ?? byId('open-button')).focus();
}

function reset() {
  for (const cell of cells) {
    cell.dataset.state = '';
    cell.title = '';
  }
  fill(round, 0);
  show(byId('shares'), true);
  byId('open-result').replaceChildren();
  show(byId('open-next'), false);
  write(byId('share-count'), `${RAIDAS} RAIDAs will be asked`);
  write(byId('share-need'), `${REQUIRED} must respond`);
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
  isFull = sessions.length >= max;
  for (const place of ['open-full', 'open-no-room']) show(byId(place), isFull);
  if (isFull) {
    const next = sessions.reduce((first, session) => (session.expires_at < first ? session.expires_at : first), '9');
    const text = full(max, sessions.length > 0 ? Date.parse(next) - now() : null);
    for (const place of ['open-full-text', 'open-no-room']) write(byId(place), text);
  }
  enable();
}

function enable() {
  byId('open-button').disabled = isFull || opening;
}

async function open(event) {
  event.preventDefault();
  const domain = byId('open-domain').value.trim().toLowerCase().replace(/\.$/, '');
  opening = true;
  watched = domain;
  clearTimeout(unwatching);
  reset();
  enable();
  write(byId('share-count'), 'Looking the domain up');
  try {
    const parameters = { domain, wallet_path: byId('open-wallet').value.trim() };
    if (byId('open-fresh').checked) parameters.fresh = true;
    succeed(await ask('POST', 'session', parameters));
  } catch (error) {
    // Without a response nobody knows what the daemon has done.
    const { status } = error;
    if (cells.every((cell) => cell.dataset.state === '')) {
      write(byId('share-count'), 'No response');
      show(byId('shares'), !status);
    }
    write(byId('share-need'), status ? 'No session was opened' : 'The session may be open');
    byId('open-result').replaceChildren(failure(error));
    byId('open-result').scrollIntoView({ block: 'nearest' });
  }
  opening = false;
  enable();
  unwatching = setTimeout(() => { watched = null; }, LATE);
}

function succeed(session) {
  opened = session.session_id;
  const how = session.from_cache ? 'from the cache, without asking a RAIDA' : 'with new shares from the RAIDAs';
  if (session.from_cache) write(byId('share-count'), 'No RAIDA was asked');
  write(byId('share-need'), session.from_cache ? 'The cache was enough' : 'The session is open');
  fill(round, 1);
  byId('open-result').replaceChildren(make('p', { class: 'notice good' }, 'Session with ', breakable(session.domain), ` opened ${how}.`));
  show(byId('open-next'), true);
  byId('open-show').focus();
}

// A step of an exchange: shown where it is the one that was begun here.
export function step({ domain: of, raida, state, fault }) {
  if (of !== watched) return;
  const cell = cells[raida];
  // A late reminder does not take back an answer.
  if (state === 'asked' && cell.dataset.state !== '') return;
  show(byId('shares'), true);
  cell.dataset.state = state;
  cell.title = `RAIDA ${raida}: ${fault ? faultName(fault) : state}`;
  const came = cells.filter((cell) => cell.dataset.state === 'answered').length;
  write(byId('share-count'), `${came} of ${RAIDAS} shares`);
  if (!opening) return;
  fill(round, Math.min(1, came / REQUIRED));
  const missing = REQUIRED - came;
  write(byId('share-need'), missing > 0 ? `${missing} more needed` : 'Enough for a key');
}
