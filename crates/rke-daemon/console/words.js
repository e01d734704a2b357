// Times, amounts and names as people read them.

import { make } from './dom.js';

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

export const number = (value) => value.toLocaleString('en');

export function bytes(count) {
  if (count < 1024) return `${count} bytes`;
  const units = ['KiB', 'MiB', 'GiB'];
  let value = count / 1024;
  let unit = 0;
  for (; value >= 1024 && unit < 2; unit += 1) value /= 1024;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function milliseconds(value) {
  if (value >= 9950) return `${Math.round(value / 1000)} s`;
  if (value >= 999.5) return `${(value / 1000).toFixed(1)} s`;
  return `${value.toFixed(value >= 9.95 ? 0 : 1)} ms`;
}

const STEPS = [[86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];

// "3 hours", to the largest unit of which there are some.
export function span(seconds) {
  const [size, unit] = STEPS.find(([size]) => seconds >= size) ?? STEPS[3];
  return plural(Math.max(0, Math.floor(seconds / size)), unit);
}

// "14:03", with the day where it is another one.
export function clock(time) {
  const today = new Date().toDateString() === time.toDateString();
  const day = today ? {} : { weekday: 'short', day: 'numeric', month: 'short' };
  return time.toLocaleString('en-GB', { ...day, hour: '2-digit', minute: '2-digit' });
}

// "1 Dec 2026, 14:03:22 CET": for what is kept, and read elsewhere and later.
export function exactly(time) {
  const day = { day: 'numeric', month: 'short', year: 'numeric' };
  return time.toLocaleString('en-GB', { ...day, hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' });
}

// A text that begins with a capital letter.
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// What went wrong with a RAIDA. The API says "no answer".
export const faultName = (fault) => (fault === 'no answer' ? 'no response' : fault);

// "4, 7 and 12".
export function list(items) {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

// `RAIDA 3`, or `RAIDAs 3, 4 and 5`.
export function raidaNames(raidas) {
  return `RAIDA${raidas.length === 1 ? '' : 's'} ${list(raidas)}`;
}

// A list of names that break as `breakable` says, as pieces for `make`.
export function names(items) {
  const before = (at) => (at < items.length - 1 ? ', ' : ' and ');
  return items.flatMap((item, at) => [at === 0 ? '' : before(at), ...breakable(item)]);
}

// "in 58 min", "expired".
export function until(seconds) {
  if (seconds <= 0) return 'expired';
  const [size, unit] = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']].find(([size]) => seconds >= 2 * size) ?? [1, 's'];
  return `in ${Math.max(1, Math.floor(seconds / size))} ${unit}`;
}

// "4 min ago", and the time of day for what is older than an hour.
export function since(time, now) {
  const seconds = Math.max(0, (now - time) / 1000);
  if (seconds < 5) return 'now';
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return clock(time);
}

// The beginning of an id: enough to tell sessions apart, too little to use one.
export const shortId = (id) => id.slice(0, 8);

const LONGEST_NAME = 48;

// A long name without its middle; the ends are what tells names apart.
export function shortName(name, longest = LONGEST_NAME) {
  if (name.length <= longest) return name;
  const head = Math.ceil((longest - 1) / 2);
  return `${name.slice(0, head)}…${name.slice(name.length - (longest - 1 - head))}`;
}

// A name or a path as pieces for `make`. It may break after its dots and slashes, and after a hyphen only where a part is too
// long for a line.
export function breakable(name) {
  const pieces = name.split(/(?<=[./])/).map((part) => (part.includes('-') ? make('span', { class: 'unbroken' }, part) : part));
  return pieces.flatMap((piece, at) => (at === 0 ? [piece] : [make('wbr'), piece]));
}
