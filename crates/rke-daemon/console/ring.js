// A ring that runs down: how much of a session's life is left.

import { now } from './api.js';
import { make, write } from './dom.js';
import { shortSpan } from './words.js';

const RADIUS = 20;
const AROUND = 2 * Math.PI * RADIUS;
// From here on it shows in another colour.
const SOON = 0.1;

export function ring() {
  const circle = (name) => make('circle', { class: name, cx: 24, cy: 24, r: RADIUS });
  const arc = circle('ring-arc');
  arc.setAttribute('stroke-dasharray', AROUND);
  const left = make('span', { class: 'ring-left' });
  const svg = make('svg', { viewBox: '0 0 48 48', 'aria-hidden': 'true' }, circle('ring-track'), arc);
  return make('div', { class: 'ring', 'aria-hidden': 'true' }, svg, left);
}

// `life` is how long a session lives from its opening or renewal, in seconds.
export function turn(ring, session, life) {
  const left = Math.max(0, Date.parse(session.expires_at) - now());
  const part = Math.min(1, left / (life * 1000));
  ring.querySelector('.ring-arc').setAttribute('stroke-dashoffset', AROUND * (1 - part));
  ring.classList.toggle('soon', part < SOON);
  write(ring.querySelector('.ring-left'), shortSpan(left / 1000));
}
