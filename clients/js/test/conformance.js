// Runs the calls of clients/conformance with this library, in Node and in browsers alike.

import * as lib from '../src/index.js';

/** The classes of the list that the library has errors for. */
const CLASSES = {
  request: lib.RequestError,
  not_allowed: lib.NotAllowedError,
  not_found: lib.NotFoundError,
  fresh_key: lib.FreshKeyError,
  damaged: lib.DamagedError,
  limit: lib.LimitError,
  exchange: lib.ExchangeError,
  upstream: lib.UpstreamError,
  daemon: lib.DaemonError,
  no_daemon: lib.NoDaemonError,
  broken_off: lib.BrokenOffError,
  command_failed: lib.BrokenOffError,
};

class SourceBroke extends Error {}

/** Runs a case; throws where an answer is not the expected one. `daemon` is where, and `given` the names. */
export async function run(test, daemon, given) {
  const rke = new lib.Rke({ url: daemon.url, token: daemon.token, fetch: daemon.fetch });
  const kept = { ...given };
  for (const [at, step] of test.steps.entries()) {
    for (let time = step.times ?? 1; time > 0; time -= 1) {
      const outcome = await made(rke, resolved(step, kept));
      check(outcome, resolved(step, kept), `step ${at + 1}, ${step.call}`);
      for (const [name, field] of Object.entries(step.keep ?? {})) kept[name] = outcome.gives[field];
    }
  }
}

/** The step with what was kept in the places of the names; data becomes bytes. */
function resolved(value, kept) {
  if (typeof value === 'string' && value.startsWith('$')) {
    const [name, how] = value.slice(1).split('|');
    return how === 'upper' ? kept[name].toUpperCase() : kept[name];
  }
  if (Array.isArray(value)) return value.map((item) => resolved(item, kept));
  if (typeof value !== 'object' || value === null) return value;
  if (isData(value)) return data(value, kept);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, key === 'keep' ? item : resolved(item, kept)]),
  );
}

function isData(value) {
  return ['text', 'pattern', 'endless'].some((kind) => kind in value) || typeof value.kept === 'string';
}

/** Data as it is described; what is special about it as a source is a property of the bytes. */
function data(described, kept) {
  let bytes;
  if ('text' in described) bytes = new TextEncoder().encode(described.text);
  else if ('kept' in described) bytes = altered(kept[described.kept].slice(), described);
  else bytes = Uint8Array.from({ length: described.pattern ?? 65536 }, (_, at) => at % 251);
  return Object.assign(bytes, { breaks: described.breaks, endless: described.endless });
}

function altered(bytes, { flip, first, append, swap }) {
  if (flip !== undefined) bytes[flip < 0 ? bytes.length + flip : flip] ^= 1;
  if (swap !== undefined) {
    const [one, other, length] = swap;
    const moved = bytes.slice(one, one + length);
    bytes.copyWithin(one, other, other + length);
    bytes.set(moved, other);
  }
  const cut = first === undefined ? bytes : bytes.slice(0, first);
  return append === undefined ? cut : joined([cut, lib.fromBase64(append)]);
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function made(rke, step) {
  try {
    return { gives: await CALLS[step.call](rke, step) };
  } catch (error) {
    return { error };
  }
}

const CALLS = {
  create: async (rke, { domain, wallet_path: walletPath, fresh }) =>
    (await rke.open({ domain, walletPath, fresh })).created,
  list: (rke) => rke.sessions(),
  show: (rke, { id }) => rke.session(id).show(),
  renew: (rke, { id }) => rke.session(id).renew(),
  delete: (rke, { id, forget, verify, everywhere }) => rke.session(id).delete({ forget, verify, everywhere }),
  delete_all: async (rke, step) => ({ deleted: await rke.deleteSessions(step) }),
  keys: (rke) => rke.keys(),
  delete_keys: async (rke, step) => ({ deleted: await rke.deleteKeys(step) }),
  discover: (rke, { domain }) => rke.discover(domain),
  status: (rke) => rke.status(),
  raidas: (rke) => rke.raidas(),
  refresh_raidas: (rke) => rke.refreshRaidas(),
  encrypt: async (rke, { id, data }) => {
    const { ciphertext, nonce } = await rke.session(id).encrypt(data);
    return { data: ciphertext, length: ciphertext.length, nonce };
  },
  decrypt: async (rke, { id, data, nonce }) => plain(await rke.session(id).decrypt(data, nonce)),
  seal: async (rke, { id, data, associated_data: associatedData }) =>
    plain(await rke.session(id).seal(data, { associatedData })),
  open: async (rke, { id, data, associated_data: associatedData }) =>
    plain(await rke.session(id).open(data, { associatedData })),
  export: async (rke, { id, label, context, length }) => plain(await rke.session(id).export(label, { context, length })),
  encrypt_stream: async (rke, step) => {
    const { stream, nonce } = await rke.session(step.id).encryptStream(source(step));
    return { ...plain(await collected(stream, rke, step)), nonce };
  },
  decrypt_stream: async (rke, step) =>
    plain(await collected(await rke.session(step.id).decryptStream(source(step), step.nonce), rke, step)),
  events: heard,
  tunnel: async (rke, step) => plain(await collected(await rke.session(step.id).tunnel(source(step)), rke, step)),
  seal_stream: async (rke, step) => plain(await collected(await sealing(rke, step, 'sealStream'), rke, step)),
  open_stream: async (rke, step) => plain(await collected(await sealing(rke, step, 'openStream'), rke, step)),
};

function sealing(rke, step, method) {
  return rke.session(step.id)[method](source(step), { associatedData: step.associated_data });
}

function plain(bytes) {
  return { data: bytes, length: bytes.length };
}

/** The data in pieces, as a stream. */
function source({ data, pieces = 65536 }) {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      // Sources take their time.
      await new Promise((resolve) => setTimeout(resolve));
      if (at >= data.length && data.endless) at = 0;
      if (at < data.length) controller.enqueue(data.slice(at, at + pieces));
      else if (data.breaks) controller.error(new SourceBroke());
      else controller.close();
      at += pieces;
    },
  });
}

/** All that a stream gives; makes the step's other call once enough of it is there. */
async function collected(stream, rke, { after }) {
  const parts = [];
  let size = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return joined(parts);
    parts.push(value);
    const before = size;
    size += value.length;
    if (after && before < after.bytes && size >= after.bytes) await CALLS[after.call](rke, after);
  }
}

/** How long an event may take. */
const PATIENCE = 60_000;

/** Listens until the events of the step have come; makes its other call then, and listens for the events of that. */
async function heard(rke, { until, after }) {
  const events = await rke.events({ signal: AbortSignal.timeout(PATIENCE) });
  try {
    await come(events, until);
    if (after === undefined) return {};
    await CALLS[after.call](rke, after);
    await come(events, after.until);
    return {};
  } finally {
    await events.close();
  }
}

/** Waits until each of these events has come, in any order. */
async function come(events, expected) {
  let missing = expected;
  while (missing.length > 0) {
    const { done, value } = await events.next();
    if (done) throw new Error(`events ended before ${JSON.stringify(missing)}`);
    missing = missing.filter((event) => !fits(value, event));
  }
}

function fits(value, expected) {
  try {
    match(value, expected, 'event');
    return true;
  } catch {
    return false;
  }
}

function check({ gives, error }, step, where) {
  if (step.fails === undefined) {
    if (error) throw new Error(`${where} failed: ${error}`, { cause: error });
    return match(gives, step.gives ?? {}, where);
  }
  if (!error) throw new Error(`${where} did not fail but gave ${JSON.stringify(gives)?.slice(0, 300)}`);
  const { class: expected, ...rest } = step.fails;
  const matches = expected === 'source' ? error instanceof SourceBroke : error.constructor === CLASSES[expected];
  if (!matches) throw new Error(`${where} failed otherwise than ${expected}: ${error}`, { cause: error });
  // The engine shows no trailer, so the status stays unknown.
  if (expected === 'command_failed') return undefined;
  return match(described(error), rest, `${where}, error`);
}

/** An error as the list describes it. */
function described(error) {
  const { reason: message, retryAfter: retry_after, code, fields, answered, faults } = error;
  return { message, retry_after, code, fields, answered, faults };
}

const KINDS = {
  '<hex>': /^[0-9a-f]{32}$/,
  '<time>': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
  '<number>': /^\d+$/,
  '<positive>': /^[1-9]\d*$/,
};

/** Whether a text is as it is expected; `…` stands for any text. */
function isLike(text, expected) {
  const escaped = expected.split('…').map((part) => part.replace(/[^\w ]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`, 's').test(text);
}

/** Throws where a value is not what the list expects. */
function match(value, expected, where) {
  const differs = () => new Error(`${where}: ${JSON.stringify(value)} instead of ${JSON.stringify(expected)}`);
  if (expected instanceof Uint8Array) {
    const same = value.length === expected.length && expected.every((byte, at) => byte === value[at]);
    if (!same) throw new Error(`${where}: other data, ${value.length} of ${expected.length} bytes`);
  } else if (expected in KINDS) {
    if (!KINDS[expected].test(value)) throw differs();
  } else if (typeof expected === 'string' && typeof value === 'string') {
    if (!isLike(value, expected)) throw differs();
  } else if (Array.isArray(expected)) {
    if (value?.length !== expected.length) throw differs();
    expected.forEach((item, at) => match(value[at], item, `${where}[${at}]`));
  } else if (typeof expected === 'object' && expected !== null) {
    for (const [key, item] of Object.entries(expected)) match(value?.[key], item, `${where}.${key}`);
  } else if (value !== expected) throw differs();
}
