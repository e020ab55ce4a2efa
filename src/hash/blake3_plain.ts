/**
 * BLAKE3's chunks and parents in plain TypeScript, after sections 2.1 to 2.5 of the BLAKE3 paper: for the parts of a
 * tree where the kernel cannot run, as hash-wasm gives whole digests only. Slow; it is the simplest reading of the
 * paper.
 */
import type { Bytes } from "../bytes/bytes.ts";

const CHUNK = 1024, BLOCK = 64;
const CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8;
// deno-fmt-ignore
const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];

/** The chaining value of these bytes as a subtree that begins at this chunk. */
export function plainSubtree(bytes: Bytes, firstChunk: number): Bytes {
  if (bytes.length <= CHUNK) return chunkValue(bytes, firstChunk);
  let left = CHUNK;
  while (2 * left < bytes.length) left *= 2;
  return plainParent(
    plainSubtree(bytes.subarray(0, left), firstChunk),
    plainSubtree(bytes.subarray(left), firstChunk + left / CHUNK),
    false,
  );
}

/** The chaining value of the parent of two nodes; as the root, the digest. */
export function plainParent(left: Bytes, right: Bytes, isRoot: boolean): Bytes {
  const block = new Uint8Array(BLOCK);
  block.set(left);
  block.set(right, BLOCK / 2);
  return toBytes(compress(IV, block, 0, BLOCK, PARENT | (isRoot ? ROOT : 0)));
}

function chunkValue(bytes: Bytes, counter: number): Bytes {
  let value: readonly number[] = IV;
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const rest = bytes.subarray(at, at + BLOCK);
    const block = new Uint8Array(BLOCK);
    block.set(rest);
    const flags = (at === 0 ? CHUNK_START : 0) | (at + BLOCK >= bytes.length ? CHUNK_END : 0);
    value = compress(value, block, counter, rest.length, flags);
  }
  return toBytes(value);
}

/** The compression function; only the eight words that make a chaining value or a digest. */
function compress(value: readonly number[], block: Bytes, counter: number, length: number, flags: number) {
  const view = new DataView(block.buffer);
  let message = IV.concat(IV).map((_, index) => view.getUint32(4 * index, true));
  const state = [...value, ...IV.slice(0, 4), counter | 0, Math.floor(counter / 2 ** 32), length, flags];
  for (let round = 0; round < 7; round++) {
    for (let i = 0; i < 4; i++) {
      mix(state, i, 4 + i, 8 + i, 12 + i, message[2 * i], message[2 * i + 1]);
    }
    for (let i = 0; i < 4; i++) {
      const places = [i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4] as const;
      mix(state, ...places, message[8 + 2 * i], message[9 + 2 * i]);
    }
    message = PERMUTATION.map((index) => message[index]);
  }
  return IV.map((_, index) => state[index] ^ state[8 + index]);
}

/** The paper's G. */
function mix(
  state: number[],
  a: number,
  b: number,
  c: number,
  d: number,
  first: number,
  second: number,
): void {
  state[a] = state[a] + state[b] + first | 0;
  state[d] = rotate(state[d] ^ state[a], 16);
  state[c] = state[c] + state[d] | 0;
  state[b] = rotate(state[b] ^ state[c], 12);
  state[a] = state[a] + state[b] + second | 0;
  state[d] = rotate(state[d] ^ state[a], 8);
  state[c] = state[c] + state[d] | 0;
  state[b] = rotate(state[b] ^ state[c], 7);
}

function rotate(word: number, bits: number): number {
  return word >>> bits | word << 32 - bits;
}

function toBytes(words: readonly number[]): Bytes {
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  words.forEach((word, index) => view.setUint32(4 * index, word, true));
  return bytes;
}
