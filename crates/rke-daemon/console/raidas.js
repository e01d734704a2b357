// The 25 RAIDAs: how each did, how long it took, and how many are spare.

import { banner } from './banners.js';
import { byId, make, write } from './dom.js';
import { clock, faultName, milliseconds, number, plural } from './words.js';

const WIDE = 5;
const KEPT = 32;
const PLOT = { width: 64, height: 16 };
const STATES = { well: 'healthy', failing: 'no response', no_key_set: 'no key set', lying: 'wrong share', unknown: 'not asked yet' };
const MARKS = {
  well: () => make('circle', { cx: 5, cy: 5, r: 4 }),
  failing: () => [make('circle', { cx: 5, cy: 5, r: 3.5 }), make('path', { d: 'M2.5 7.5l5-5' })],
  no_key_set: () => make('path', { d: 'M5 .9L9.1 5 5 9.1.9 5z' }),
  lying: () => make('path', { d: 'M5 .8L9.6 9H.4z' }),
  unknown: () => make('circle', { cx: 5, cy: 5, r: 3.5 }),
};
const HELP = { failing: '#help-raidas', no_key_set: '#help-key-set', lying: '#help-shares' };

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
  const scale = scaleOf(raidas);
  raidas.forEach((row, at) => fill(cells[at], row, scale));
  const asked = margin !== null;
  const healthy = raidas.filter((row) => row.state === 'well').length;
  tell(asked, healthy, required);
  byId('strip').replaceChildren(...raidas.map((row) => make('span', { 'data-state': row.state })));
  detail();
}

// How many are spare, or how many are missing.
function tell(asked, healthy, required) {
  const spare = healthy - required;
  const short = asked && spare < 0;
  const counts = `${healthy} of 25 are healthy and ${required} are needed.`;
  const lead = !asked ? `None has been asked yet. A session asks all 25 and needs ${required}.`
    : short ? `${counts} Short by ${-spare}: only cached keys open sessions.`
    : spare === 0 ? `${counts} No spare RAIDAs: if one more fails, only cached keys open sessions.`
    : `${counts} Spare RAIDAs: ${spare}.`;
  for (const place of ['margin', 'strip-lead']) {
    write(byId(place), lead);
    mark(byId(place), asked, spare);
  }
  write(byId('figure-margin'), !asked ? '–' : short ? `Short by ${-spare}` : String(spare));
  mark(byId('figure-margin'), asked, spare);
  write(byId('figure-margin-more'), asked ? `${healthy} of 25 healthy` : 'none asked yet');
  const text = short ? `Short by ${plural(-spare, 'RAIDA')}: ${counts} Only cached keys open sessions.` : `No spare RAIDAs: ${counts} If one more fails, only cached keys open sessions.`;
  banner('raidas', asked && spare <= 0 ? { kind: short ? 'bad' : 'doubt', text, href: '#raidas', link: 'RAIDAs' } : null);
}

// In the colours of the banner.
function mark(element, asked, spare) {
  element.classList.toggle('alarming', asked && spare < 0);
  element.classList.toggle('doubtful', asked && spare === 0);
}

// The time that fills a plot. All plots have one, so that a slow RAIDA stands out; a few very slow answers do not flatten
// the others, but go over the top.
function scaleOf(raidas) {
  const times = raidas.flatMap((row) => row.history_ms.filter((time) => time !== null)).sort((one, other) => one - other);
  const usual = times[Math.floor(0.9 * (times.length - 1))] ?? 1;
  return Math.max(1, Math.min(times.at(-1) ?? 1, 2 * usual));
}

function fill(cell, row, scale) {
  const mark = make('svg', { class: `state ${row.state}`, viewBox: '0 0 10 10', 'aria-hidden': 'true' }, MARKS[row.state]());
  const time = row.median_ms === null ? '' : milliseconds(row.median_ms);
  cell.replaceChildren(
    make('span', { class: 'raida-head' }, make('span', {}, unseen('RAIDA '), String(row.raida)), mark),
    unseen(`, ${STATES[row.state]}${time && ', usually '}`),
    plot(row.history_ms, scale),
    make('span', { class: 'raida-time' }, time || '\u00a0'));
  cell.dataset.state = row.state;
}

// For screen readers only.
const unseen = (text) => make('span', { class: 'unseen' }, text);

// One stroke for each exchange, the last at the right.
function plot(history, scale) {
  const step = PLOT.width / KEPT;
  const first = KEPT - history.length;
  const strokes = (is, top) => history.map((time, at) => (is(time) ? `M${(first + at + 0.5) * step} ${PLOT.height}V${top(time)}` : '')).join('') || 'M0 0';
  const height = (time) => Math.min(PLOT.height * (1 - Math.sqrt(time / scale)), PLOT.height - 1.5).toFixed(1);
  const path = (name, is, top) => make('path', { class: name, d: strokes(is, top) });
  return make('svg', {
    class: 'plot', viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true',
  },
    history.length > 0 && make('path', { class: 'plot-base', d: `M0 ${PLOT.height - 0.5}H${PLOT.width}` }),
    path('plot-miss', (time) => time === null, () => 0),
    path('plot-over', (time) => time > scale, () => 0),
    path('plot-time', (time) => time !== null && time <= scale, height));
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
  const fault = row.last_fault && `${faultName(row.last_fault)}, ${clock(new Date(row.last_fault_at))}`;
  byId('raida-detail').replaceChildren(
    make('h2', {}, `RAIDA ${row.raida}: ${STATES[row.state]}`),
    make('dl', { class: 'pairs' },
      pair('Address', row.endpoint), pair('Responses', row.asked ? `${number(row.answered)} of ${number(row.asked)}` : null),
      pair('Last response', times), pair('Wrong shares', row.lies ? number(row.lies) : null), pair('Last fault', fault)),
    ...(HELP[row.state] ? [make('p', { class: 'hint' }, make('a', { href: HELP[row.state] }, 'Help'))] : []));
}
