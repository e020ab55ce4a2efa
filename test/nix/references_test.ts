import assert from "node:assert/strict";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { ReferenceScanner } from "../../src/nix/references.ts";

const A = "0vpqfxbkx0ffrnhbws6g9qwhmliksz7f";
const B = "9vrhbib2lxd9pjlg6fnl5b82gblidrcr";

function scan(pieces: readonly Bytes[], limit?: number): ReferenceScanner {
  const scanner = new ReferenceScanner({ limit });
  for (const piece of pieces) scanner.update(piece);
  return scanner;
}

function found(text: string): string[] {
  return [...scan([fromText(text)]).found];
}

/** The rule, said another way: a regular expression over the bytes as Latin-1, overlapping matches included. */
function foundByRule(bytes: Bytes): Set<string> {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  const rule = /(?=([0-9a-df-np-sv-z]{32})-[0-9A-Za-z+\-._?=])/g;
  return new Set([...text.matchAll(rule)].map((match) => match[1]));
}

/** Deterministic numbers in [0, 1). */
function numbers(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Bytes in which matches, near misses and long runs are frequent. */
function crowdedBytes(random: () => number, pieces: number): Bytes {
  const alphabet = "0123456789abcdfghijklmnpqrsvwxyz";
  const parts: string[] = [];
  for (let i = 0; i < pieces; i++) {
    const length = random() < 0.5 ? 32 : Math.floor(random() * 70);
    let run = "";
    for (let j = 0; j < length; j++) run += alphabet[Math.floor(random() * 32)];
    parts.push(run, ["-", "-x", "-/", "e", "--", "\0", "-\xff", " ", "-.", ""][Math.floor(random() * 10)]);
  }
  return Uint8Array.from(parts.join(""), (character) => character.charCodeAt(0));
}

Deno.test("references are found wherever they stand", () => {
  assert.deepEqual(found(`${A}-x`), [A]);
  assert.deepEqual(found(`/nix/store/${A}-perl\0\0/opt/store/${B}-x`), [A, B]);
  assert.deepEqual(found(`${A}-${B}-x`), [A, B]);
  assert.deepEqual(found(`${A}-x${A}-y`), [A]);
  for (let before = 0; before < 100; before++) {
    assert.deepEqual(found("\0".repeat(before) + `${A}-x`), [A]);
    assert.deepEqual(found("e".repeat(before) + `${A}-x` + "e".repeat(before)), [A]);
    assert.deepEqual(found("z".repeat(before) + `${A}-x`), [A]);
  }
});

Deno.test("after a longer run of the alphabet, the last 32 count", () => {
  assert.deepEqual(found(`${B}${A}-x`), [A]);
  assert.deepEqual(found(`0${A}-x`), [A]);
});

Deno.test("near misses are no references", () => {
  for (
    const text of [
      "",
      A,
      `${A}-`,
      `${A}-/`,
      `${A}-\0`,
      `${A}- `,
      `${A}x`,
      `${A}.x`,
      `${A.slice(1)}-x`,
      `${A.slice(0, 31)}e-x`,
      `e${A.slice(1)}-x`,
      `${A.slice(0, 16)}u${A.slice(17)}-x`,
      `${A.toUpperCase()}-x`,
    ]
  ) {
    assert.deepEqual(found(text), [], text);
  }
});

Deno.test("it finds what the rule says, in crowded bytes and cut anywhere", () => {
  const random = numbers(1);
  for (let round = 0; round < 200; round++) {
    const bytes = crowdedBytes(random, 40);
    const expected = foundByRule(bytes);
    assert.deepEqual(scan([bytes]).found, expected);
    const pieces = [];
    for (let at = 0; at < bytes.length;) {
      const length = Math.floor(random() ** 3 * 200);
      pieces.push(bytes.subarray(at, at + length));
      at += length;
    }
    assert.deepEqual(scan(pieces).found, expected);
  }
});

Deno.test("cutting at every byte, or into single bytes, changes nothing", () => {
  const bytes = concat([
    fromText(`\0/nix/store/${A}-perl `),
    crowdedBytes(numbers(2), 8),
    fromText(`${B}-x`),
  ]);
  const expected = foundByRule(bytes);
  assert.ok(expected.has(A) && expected.has(B));
  for (let at = 0; at <= bytes.length; at++) {
    assert.deepEqual(scan([bytes.subarray(0, at), bytes.subarray(at)]).found, expected);
    assert.deepEqual(scan([bytes.slice(0, at), new Uint8Array(0), bytes.slice(at)]).found, expected);
  }
  for (const size of [1, 2, 3, 31, 32, 33, 34, 35]) {
    const pieces = [];
    for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
    assert.deepEqual(scan(pieces).found, expected, `pieces of ${size}`);
  }
});

Deno.test("pieces may be reused by the caller", () => {
  const text = fromText(`${"-".repeat(20)}${A}-x`);
  const buffer = new Uint8Array(10);
  const scanner = new ReferenceScanner();
  for (let at = 0; at < text.length; at += 10) {
    const piece = text.subarray(at, at + 10);
    buffer.set(piece);
    scanner.update(buffer.subarray(0, piece.length));
    buffer.fill(0);
  }
  assert.deepEqual([...scanner.found], [A]);
});

Deno.test("beyond the limit it says so, and keeps the first", () => {
  const hashParts = Array.from({ length: 5 }, (_, i) => String(i).repeat(32));
  const bytes = fromText(hashParts.map((hashPart) => `${hashPart}-x `).join("").repeat(2));
  const exact = scan([bytes], 5);
  assert.deepEqual([[...exact.found], exact.overflowed], [hashParts, false]);
  for (const pieces of [[bytes], [...bytes].map((byte) => Uint8Array.of(byte))]) {
    const over = scan(pieces, 4);
    assert.deepEqual([[...over.found], over.overflowed], [hashParts.slice(0, 4), true]);
  }
});
