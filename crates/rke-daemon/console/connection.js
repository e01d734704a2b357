// Keeps listening to the daemon, says whether it is there, and comes back when it does. A hidden tab does
// not listen: browsers allow few connections to one server.

import { events, hasToken, keepToken, Refused } from './api.js';
import { byId, show, suspend, write } from './dom.js';
import { isResponding } from './state.js';

const RETRY = 1000;
const POLL = 5000;
// The daemon gives a sign of life every ten seconds.
const SILENCE = 25000;

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
  let alarm = setTimeout(() => ending.abort(), SILENCE);
  try {
    for await (const event of events(ending.signal)) {
      clearTimeout(alarm);
      alarm = setTimeout(() => ending.abort(), SILENCE);
      state('live');
      if (event) took(event.name, event.data);
    }
    state('lost');
    return RETRY;
  } finally {
    clearTimeout(alarm);
  }
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
