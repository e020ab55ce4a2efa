/** Inputs of the tests of this folder. */
import type { Bytes } from "../../src/bytes/bytes.ts";

/** Bytes of the rule of the BLAKE3 vectors: byte i is i mod 251. */
export function countedBytes(length: number): Bytes {
  return Uint8Array.from({ length }, (_, index) => index % 251);
}

/** 255 different bytes, 4096 times: the blob other castore implementations test with. */
export const BLOB_B: Bytes = Uint8Array.from({ length: 255 * 4096 }, (_, index) => index % 255);

/** A generator of numbers below a bound, the same at each run (xorshift, 32 bits). */
export function seeded(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

/** Bytes without a pattern, the same at each run. */
export function seededBytes(length: number, seed: number): Bytes {
  const next = seeded(seed);
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = next(256);
  return bytes;
}
