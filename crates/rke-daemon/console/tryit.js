// Encrypts and decrypts with a session, and shows the same request to copy.

import { ask, hasToken } from './api.js';
import { byId, copy, make, reconcile, show, write } from './dom.js';
import { curl, go, javascript } from './snippets.js';

const LANGUAGES = [['curl', curl], ['JavaScript', javascript], ['Go', go]];

const tabs = [];
let language = 0;
let request = null;
let sealed = null;

export function start() {
  LANGUAGES.forEach(([name], at) => tabs.push(make('button', {
    class: 'tab', type: 'button', role: 'tab', 'aria-controls': 'code-text',
    onclick: () => speak(at), onkeydown: (event) => turn(event, at),
  }, name)));
  byId('code-tabs').append(...tabs);
  byId('try-form').addEventListener('submit', encrypt);
  byId('try-decrypt').addEventListener('click', decrypt);
  byId('try-text').addEventListener('input', propose);
  byId('try-session').addEventListener('change', propose);
  byId('code-copy').addEventListener('click', () => copy(byId('code-text').textContent, 'Request'));
  speak(0);
}

export function render(sessions) {
  show(byId('try-empty'), sessions.length === 0);
  show(byId('try-body'), sessions.length > 0);
  const select = byId('try-session');
  const [before, known] = [select.value, select.options.length];
  reconcile(select, sessions, (session) => session.session_id,
    (session) => make('option', { value: session.session_id }, `${session.domain}, ${session.session_id.slice(0, 6)}…`), () => {});
  if (sessions.length > known) select.value = sessions.at(-1).session_id;
  if (select.value !== before) propose();
}

const toBase64 = (text) => btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));

const fromBase64 = (text) => new TextDecoder().decode(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));

// The request that a click on Encrypt would make.
function propose() {
  sealed = null;
  byId('try-decrypt').disabled = true;
  byId('try-result').replaceChildren();
  show(byId('try-wrong'), false);
  tell('encrypt', encryption());
}

const encryption = () => ({ session_id: byId('try-session').value, plaintext: toBase64(byId('try-text').value) });

async function encrypt(event) {
  event.preventDefault();
  const parameters = encryption();
  await attempt(async () => {
    const { ciphertext, nonce, length } = await ask('POST', 'encrypt', parameters);
    sealed = { session_id: parameters.session_id, ciphertext, nonce };
    byId('try-decrypt').disabled = false;
    tell('encrypt', parameters);
    result(['ciphertext', ciphertext], ['nonce', nonce], ['length', `${length} bytes`]);
  });
}

async function decrypt() {
  const parameters = sealed;
  await attempt(async () => {
    const { plaintext } = await ask('POST', 'decrypt', parameters);
    tell('decrypt', parameters);
    result(['plaintext', fromBase64(plaintext)], ['from', parameters.ciphertext], ['nonce', parameters.nonce]);
  });
}

async function attempt(work) {
  show(byId('try-wrong'), false);
  try {
    await work();
  } catch (error) {
    byId('try-result').replaceChildren();
    const gone = error.status === 404 ? 'The session has ended. Choose another one.' : error.message;
    write(byId('try-wrong'), gone);
    show(byId('try-wrong'), true);
  }
}

function result(...pairs) {
  byId('try-result').replaceChildren(...pairs.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]));
}

function tell(command, parameters) {
  request = [`/api/rke/${command}`, parameters];
  speak(language);
}

function speak(at) {
  language = at;
  tabs.forEach((tab, index) => {
    tab.setAttribute('aria-selected', index === at);
    tab.tabIndex = index === at ? 0 : -1;
  });
  const [, write_in] = LANGUAGES[at];
  write(byId('code-text'), request ? write_in(...request, hasToken()) : '');
}

function turn(event, at) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const next = (at + step + tabs.length) % tabs.length;
  speak(next);
  tabs[next].focus();
}
