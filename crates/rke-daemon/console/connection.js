// Keeps listening to the daemon, says whether it is there, and comes back when it does. A hidden tab does
// not listen: browsers allow few connections to one server.

import { events, hasToken, keepToken, Refused } from './api.js';
import { byId, show, suspend, write } from './dom.js';
import { isResponding } from './state.js';

const RETRY = 1000;
const POLL = 5000;
// The daemon gives a sign of life every three seconds. Two of them may be missing. It may take as long to begin with them: the
// request for them may have to wait for others.
const SILENCE = 8000;
// How late a timer may be before it says more about the page than about the daemon.
const LATE = 2000;

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
  const silence = alarm(SILENCE, () => ending.abort());
  silence.start();
  try {
    for await (const event of events(ending.signal)) {
      silence.start();
      state('live');
      if (event) took(event.name, event.data);
    }
    state('lost');
    return RETRY;
  } finally {
    silence.stop();
  }
}

// Calls `ring` once `time` has passed and nothing has started it again. A page that was frozen, or whose machine slept, gives
// the daemon that time again: its signs of life may be waiting to be read.
function alarm(time, ring) {
  let timer;
  const start = () => {
    clearTimeout(timer);
    const due = performance.now() + time;
    timer = setTimeout(() => (performance.now() - due > LATE ? start() : ring()), time);
  };
  return { start, stop: () => clearTimeout(timer) };
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
