// Keeps listening to the daemon, says whether it is there, and comes back when it does. A hidden tab does
// not listen: browsers allow few connections to one server.

import { events, hasToken, keepToken, Refused, responds } from './api.js';
import { byId, show, suspend, write } from './dom.js';
import { isResponding } from './state.js';

const RETRY = 1000;
const POLL = 5000;

// After how many seconds of silence something happens. The daemon gives a sign of life every three seconds. One that is late
// is asked for; without a response the daemon counts as lost. The page goes on listening even then, because a busy daemon may be
// about to respond, and a new request would have to wait again. Only much later it takes the connection for broken.
const SECOND = 1000;
const LATE = 5;
const LOST = 9;
const BROKEN = 25;

const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));

const visible = () => document.visibilityState === 'visible';

function becomesVisible() {
  return new Promise((resolve) => {
    if (visible()) return resolve();
    document.addEventListener('visibilitychange', resolve, { once: true });
  });
}

const NAMES = { connecting: 'Connecting', live: 'Live', lost: 'Not responding', paused: 'Paused', token: 'Locked' };

function state(name) {
  const link = byId('link');
  link.dataset.state = name;
  write(link, NAMES[name]);
  document.body.dataset.link = name;
  const lost = name === 'lost';
  if (lost && byId('lost').hidden) {
    const time = new Date().toLocaleTimeString('en-GB');
    write(byId('lost-since'), `What you see is from ${time}.`);
  }
  show(byId('lost'), lost);
  suspend(byId('console'), lost);
  isResponding(!lost);
  show(byId('token'), name === 'token');
  if (name === 'live' || name === 'token') show(byId('console'), name === 'live');
}

// Calls `took` with each event for as long as the page lives.
export async function listen(took) {
  for (;;) {
    await becomesVisible();
    const ending = new AbortController();
    const hide = () => visible() || ending.abort();
    document.addEventListener('visibilitychange', hide);
    const pause = await follow(ending, took).catch((error) => cope(error, ending, took));
    document.removeEventListener('visibilitychange', hide);
    await wait(pause);
  }
}

// What follows comes to an end, or to an error; each says how long to wait before the next try.

async function follow(ending, took) {
  const silence = countSilence(ending);
  try {
    for await (const event of events(ending.signal)) {
      silence.end();
      state('live');
      if (event) took(event.name, event.data);
    }
    state('lost');
    return RETRY;
  } finally {
    silence.stop();
  }
}

// Counts seconds in which the page runs. One that was frozen, or whose machine slept, gets a single late tick for all that time,
// and reads what came meanwhile before the next.
function countSilence(ending) {
  let ofDaemon = 0;
  let ofEvents = 0;
  const timer = setInterval(() => {
    ofDaemon += 1;
    ofEvents += 1;
    if (ofDaemon === LATE) responds(ending.signal).then((yes) => { if (yes) ofDaemon = 0; });
    if (ofDaemon === LOST) state('lost');
    if (ofEvents === BROKEN) ending.abort();
  }, SECOND);
  const end = () => {
    ofDaemon = 0;
    ofEvents = 0;
  };
  return { end, stop: () => clearInterval(timer) };
}

async function cope(error, ending, took) {
  if (error instanceof Refused && error.status === 401) return askForToken();
  if (error instanceof Refused) {
    // Too many pages listen: this one asks instead.
    state('live');
    for (const name of ['sessions', 'keys', 'raidas', 'activity', 'refusals']) took(name, {});
    return POLL;
  }
  state(ending.signal.aborted && !visible() ? 'paused' : 'lost');
  return visible() ? RETRY : 0;
}

function askForToken() {
  const field = byId('token-text');
  show(byId('token-wrong'), hasToken());
  keepToken(null);
  state('token');
  field.value = '';
  field.focus();
  return new Promise((resolve) => {
    const submit = (event) => {
      event.preventDefault();
      keepToken(field.value.trim());
      resolve(0);
    };
    byId('token-form').addEventListener('submit', submit, { once: true });
  });
}
