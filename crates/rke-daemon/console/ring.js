// A ring that runs down, or fills: how much of a session's life is left, how many shares have come.

import { now } from './api.js';
import { make } from './dom.js';

const RADIUS = 20;
const AROUND = 2 * Math.PI * RADIUS;
// From here on it shows in another colour.
const SOON = 0.1;

export function ring() {
  const circle = (name) => make('circle', { class: name, cx: 24, cy: 24, r: RADIUS });
  const arc = circle('ring-arc');
  arc.setAttribute('stroke-dasharray', AROUND);
  return make('svg', { class: 'ring', viewBox: '0 0 48 48', 'aria-hidden': 'true' }, circle('ring-track'), arc);
}

// Draws this part of it, from 0 to 1.
export function fill(ring, part) {
  ring.querySelector('.ring-arc').setAttribute('stroke-dashoffset', AROUND * (1 - part));
}

// What is left of a session, in seconds.
export const left = (session) => Math.max(0, (Date.parse(session.expires_at) - now()) / 1000);

// `life` is how long a session lives from its opening or renewal, in seconds.
export const expiresSoon = (session, life) => left(session) < SOON * life;

export function turn(ring, session, life) {
  fill(ring, Math.min(1, left(session) / life));
  ring.classList.toggle('soon', expiresSoon(session, life));
}
