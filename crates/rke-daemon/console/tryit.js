// Encrypts a message with the session of the panel and decrypts it again, and shows the same request to copy.

import { ask } from './api.js';
import { byId, make, show } from './dom.js';
import { errorHelp } from './failures.js';
import { samples } from './samples.js';

let session = '';
let request = null;
let sealed = null;
let showRequest = () => {};

export function start() {
  tell('encrypt', {});
  const { element, update } = samples('try', () => request);
  byId('try-samples').append(element);
  showRequest = update;
  byId('try-form').addEventListener('submit', encrypt);
  byId('try-decrypt').addEventListener('click', decrypt);
  byId('try-text').addEventListener('input', propose);
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
  request = {
    method: 'POST', url: `${location.origin}/api/rke/${command}`,
    headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(parameters),
  };
  showRequest();
}
