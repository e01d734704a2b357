// Long lists: filtered, in order, one page of them at a time. Nothing here touches the page.

// How many rows are shown at one time.
export const PER_PAGE = 50;

const ORDERS = {
  opened: (session) => session.created_at,
  domain: (session) => session.domain,
  used: (session) => session.encrypt_count + session.decrypt_count,
  expires: (session) => session.expires_at,
};

// What a filter is looked for in.
export const haystack = (session) => `${session.domain} ${session.cs_id} ${session.session_id}`.toLowerCase();

// Sessions in an order, `direction` 1 or -1. Those that are equal stay as they came. Times in this form are in order as
// texts.
export function ordered(sessions, by, direction) {
  const of = ORDERS[by];
  const keyed = sessions.map((session, at) => [of(session), at, session]);
  keyed.sort(([one, first], [other, second]) => (one < other ? -direction : one > other ? direction : (first - second) * direction));
  return keyed.map(([, , session]) => session);
}

// Those in whose text every word of the filter stands.
export function filtered(items, filter, textOf) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 ? items : items.filter((item) => words.every((word) => textOf(item).includes(word)));
}

// The page that there is, where `page` may be one that is gone by now.
export function pageOf(items, page) {
  const last = Math.max(0, Math.ceil(items.length / PER_PAGE) - 1);
  const at = Math.min(page, last);
  return { at, last, rows: items.slice(at * PER_PAGE, (at + 1) * PER_PAGE) };
}
