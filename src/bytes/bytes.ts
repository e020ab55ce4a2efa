/**
 * Byte arrays: the one type the project passes bytes in, and the few operations every layer needs.
 */

/** Bytes in memory that web APIs accept (never over a SharedArrayBuffer). May be a view: mind `byteOffset`. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** No bytes. */
export const EMPTY: Bytes = new Uint8Array(0);

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The UTF-8 bytes of a text. */
export function fromText(text: string): Bytes {
  return encoder.encode(text) as Bytes;
}

/** The text of UTF-8 bytes. Throws `TypeError` where they are not UTF-8. */
export function toText(bytes: Uint8Array): string {
  return strictDecoder.decode(bytes);
}

/** One array with the bytes of all parts, in order. */
export function concat(parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether two arrays hold the same bytes. Not constant-time: for digests of public data, not for secrets. */
export function equals(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Byte-wise lexicographic order: negative, zero or positive, as `Array.sort` wants it. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = a[i] - b[i];
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
