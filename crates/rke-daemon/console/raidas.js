// The 25 RAIDAs: how each did, how long it took, and how many may still fail.

import { byId, make, write } from './dom.js';
import { clock, milliseconds, number } from './words.js';

const WIDE = 5;
const KEPT = 32;
const PLOT = { width: 64, height: 16 };
const STATES = { well: 'well', failing: 'gave no answer', lying: 'gave a wrong share', unknown: 'not asked yet' };
const MARKS = {
  well: () => make('circle', { cx: 5, cy: 5, r: 4 }),
  failing: () => [make('circle', { cx: 5, cy: 5, r: 3.5 }), make('path', { d: 'M2.5 7.5l5-5' })],
  lying: () => make('path', { d: 'M5 .8L9.6 9H.4z' }),
  unknown: () => make('circle', { cx: 5, cy: 5, r: 3.5 }),
};

const cells = [];
let rows = [];
let chosen = 0;

export function start() {
  for (let raida = 0; raida < 25; raida += 1) {
    const cell = make('button', {
      class: 'raida', type: 'button', tabindex: raida === 0 ? 0 : -1,
      onclick: () => choose(raida), onfocus: () => choose(raida), onkeydown: (event) => move(event, raida),
    });
    cells.push(cell);
  }
  byId('raida-grid').append(...cells);
}

export function render({ required, margin, raidas }) {
  rows = raidas;
  const longest = Math.max(1, ...raidas.flatMap((row) => row.history_ms.filter((time) => time !== null)));
  raidas.forEach((row, at) => fill(cells[at], row, longest));
  tellMargin(required, margin, raidas);
  detail();
}

function tellMargin(required, margin, raidas) {
  const well = raidas.filter((row) => row.state === 'well').length;
  const lead = byId('margin');
  lead.classList.toggle('alarming', margin === 0);
  byId('figure-margin').classList.toggle('alarming', margin === 0);
  write(byId('figure-margin'), margin === null ? '–' : String(margin));
  write(byId('figure-margin-what'), margin === 1 ? 'RAIDA can still fail' : 'RAIDAs can still fail');
  if (margin === null) return write(lead, `None has been asked yet. A session asks all 25 and needs ${required}.`);
  if (well < required) return write(lead, `${well} of 25 do well and ${required} are needed: no session opens until others answer again.`);
  if (margin === 0) return write(lead, `${well} of 25 do well and ${required} are needed: if one more fails, no session opens.`);
  write(lead, `${well} of 25 do well and ${required} are needed: ${margin} can still fail.`);
}

function fill(cell, row, longest) {
  const mark = make('svg', { class: `state ${row.state}`, viewBox: '0 0 10 10', 'aria-hidden': 'true' }, MARKS[row.state]());
  const time = row.median_ms === null ? '' : milliseconds(row.median_ms);
  cell.replaceChildren(
    make('span', { class: 'raida-head' }, make('span', {}, unseen('RAIDA '), String(row.raida)), mark),
    unseen(`, ${STATES[row.state]}${time && ', usually '}`),
    plot(row.history_ms, longest),
    make('span', { class: 'raida-time' }, time || '\u00a0'));
  cell.dataset.state = row.state;
}

// For screen readers only.
const unseen = (text) => make('span', { class: 'unseen' }, text);

// One stroke for each exchange, the last at the right. All plots have one scale, so that a slow RAIDA
// stands out.
function plot(history, longest) {
  const step = PLOT.width / KEPT;
  const first = KEPT - history.length;
  const stroke = (time, at) => {
    const x = (first + at + 0.5) * step;
    const top = PLOT.height * (1 - Math.sqrt(time / longest));
    return `M${x} ${PLOT.height}V${Math.min(top, PLOT.height - 1.5).toFixed(1)}`;
  };
  const miss = (at) => `M${(first + at + 0.5) * step} ${PLOT.height}V0`;
  const times = history.map((time, at) => (time === null ? '' : stroke(time, at))).join('');
  const misses = history.map((time, at) => (time === null ? miss(at) : '')).join('');
  return make('svg', {
    class: 'plot', viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true',
  },
    history.length > 0 && make('path', { class: 'plot-base', d: `M0 ${PLOT.height - 0.5}H${PLOT.width}` }),
    make('path', { class: 'plot-miss', d: misses || 'M0 0' }),
    make('path', { class: 'plot-time', d: times || 'M0 0' }));
}

function choose(raida) {
  cells[chosen].tabIndex = -1;
  cells[chosen].classList.remove('chosen');
  chosen = raida;
  cells[raida].tabIndex = 0;
  cells[raida].classList.add('chosen');
  detail();
}

function move(event, raida) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -WIDE, ArrowDown: WIDE };
  const next = raida + steps[event.key];
  if (!cells[next]) return;
  event.preventDefault();
  cells[next].focus();
}

function detail() {
  const row = rows[chosen];
  if (!row || !cells[chosen].classList.contains('chosen')) return;
  const pair = (name, value) => (value === null ? [] : [make('dt', {}, name), make('dd', {}, value)]);
  const times = row.last_ms === null ? null : `${milliseconds(row.last_ms)}, usually ${milliseconds(row.median_ms)}`;
  const fault = row.last_fault && `${row.last_fault}, ${clock(new Date(row.last_fault_at))}`;
  byId('raida-detail').replaceChildren(
    make('h3', {}, `RAIDA ${row.raida} ${row.state === 'well' ? 'does well' : STATES[row.state]}`),
    make('dl', { class: 'pairs' },
      pair('address', row.endpoint), pair('answers', row.asked ? `${number(row.answered)} of ${number(row.asked)}` : null),
      pair('last answer', times), pair('wrong shares', row.lies ? number(row.lies) : null), pair('last fault', fault)));
}
