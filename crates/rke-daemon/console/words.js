// Times and amounts as people read them.

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
  if (value >= 10000) return `${Math.round(value / 1000)} s`;
  if (value >= 100) return `${Math.round(value)} ms`;
  return `${value.toFixed(value >= 10 ? 0 : 1)} ms`;
}

const STEPS = [[86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];

// "3 hours", to the largest unit of which there are some.
export function span(seconds) {
  const [size, unit] = STEPS.find(([size]) => seconds >= size) ?? STEPS[3];
  return plural(Math.max(0, Math.floor(seconds / size)), unit);
}

// "58m": the same for narrow places.
export function shortSpan(seconds) {
  const [size, unit] = STEPS.find(([size]) => seconds >= 2 * size) ?? STEPS[3];
  return `${Math.max(0, Math.ceil(seconds / size))}${unit[0]}`;
}

// "14:03", with the day where it is another one.
export function clock(time) {
  const today = new Date().toDateString() === time.toDateString();
  const day = today ? {} : { weekday: 'short', day: 'numeric', month: 'short' };
  return time.toLocaleString('en-GB', { ...day, hour: '2-digit', minute: '2-digit' });
}

// "4, 7 and 12".
export function list(items) {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
