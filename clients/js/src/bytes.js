// Data as applications have it, and as it travels: bytes and Base64.

/** The bytes of a text, a buffer or a view. */
export function bytesOf(data) {
  if (typeof data === 'string') return new TextEncoder().encode(data);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw new TypeError('data is a string, an ArrayBuffer, a typed array or a Blob');
}

/** The same, also of a Blob, which has to be read for it. */
export async function readBytes(data) {
  return isBlob(data) ? new Uint8Array(await data.arrayBuffer()) : bytesOf(data);
}

export function isBlob(data) {
  return typeof Blob === 'function' && data instanceof Blob;
}

/** How many arguments a call of String.fromCharCode gets: engines limit them. */
const AT_ONCE = 0x2000;

/** Bytes, or the UTF-8 of a text, in standard Base64. */
export function toBase64(data) {
  const bytes = bytesOf(data);
  let binary = '';
  for (let at = 0; at < bytes.length; at += AT_ONCE) {
    binary += String.fromCharCode(...bytes.subarray(at, at + AT_ONCE));
  }
  return btoa(binary);
}

/** The bytes that a standard Base64 text stands for. */
export function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** The text of UTF-8 bytes; throws where they are none. */
export function textOf(bytes) {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}
