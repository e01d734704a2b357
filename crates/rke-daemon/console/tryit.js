// Encrypts a message with the session of the panel and decrypts it again, and shows the same request to copy.

import { ask, hasToken } from './api.js';
import { byId, copy, make, show, write } from './dom.js';
import { errorHelp } from './failures.js';
import { curl, go, javascript } from './snippets.js';

const LANGUAGES = [['curl', curl], ['JavaScript', javascript], ['Go', go]];

const tabs = [];
let session = '';
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
  byId('code-copy').addEventListener('click', () => copy(byId('code-text').textContent, 'Request'));
  speak(0);
}

// The session that is used from now on.
export function choose(id) {
  session = id;
  propose();
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

const encryption = () => ({ session_id: session, plaintext: toBase64(byId('try-text').value) });

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
    const text = error.status === 404 ? 'The session has ended. Open another one.' : `${error.message}.`;
    byId('try-wrong').replaceChildren(`${text} `, errorHelp(error));
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
