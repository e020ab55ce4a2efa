/** BLAKE3: the official vectors, and hash-wasm as the second opinion on everything else. */
import assert from "node:assert/strict";
import { createBLAKE3 } from "hash-wasm";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { fromText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { blake3, createBlake3, kernelName } from "../../src/hash/blake3.ts";
import { kernel } from "../../src/hash/wasm/kernel.ts";
import vectors from "../vectors/hash/blake3.json" with { type: "json" };
import { BLOB_B, countedBytes, seeded, seededBytes } from "./_inputs.ts";

const oracle = await createBLAKE3();

function expected(bytes: Bytes): string {
  return oracle.init().update(bytes).digest();
}

/** Hashes in pieces whose lengths `next` chooses. */
function inPieces(bytes: Bytes, next: () => number): string {
  const hasher = createBlake3();
  for (let at = 0; at < bytes.length;) {
    const length = next();
    hasher.update(bytes.subarray(at, at + length));
    at += length;
  }
  return toHex(hasher.digest());
}

Deno.test("the kernel runs here", () => assert.equal(kernelName, "wasm-simd"));

Deno.test("official vectors, at once and in pieces", () => {
  assert.equal(vectors.cases.length, 35);
  for (const { length, digest } of vectors.cases) {
    const bytes = countedBytes(length);
    assert.equal(toHex(blake3(bytes)), digest, `${length} bytes`);
    for (const piece of [1, 63, 1000, 1024, 70000]) {
      assert.equal(inPieces(bytes, () => piece), digest, `${length} bytes by ${piece}`);
    }
  }
});

Deno.test("blobs of other castore implementations", () => {
  const blobs: [Bytes, string][] = [
    [fromText(""), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"],
    [fromText("Hello World!"), "5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c"],
    [fromHex("0001"), "7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63"],
    [BLOB_B, "a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2"],
    [fromHex("01"), "48fc721fbbc172e0925fa27af1671de225ba927134802998b10a1568a188652b"],
    [fromText("Hello World"), "41f8394111eb713a22165c46c90ab8f0fd9399c92028fd6d288944b23ff5bf76"],
  ];
  for (const [bytes, digest] of blobs) assert.equal(toHex(blake3(bytes)), digest);
});

Deno.test("every number of chunks and blocks that takes another way through the tree", () => {
  const bytes = seededBytes(8 * 1024 * 1024 + 1, 1);
  const lengths = new Set<number>();
  for (let chunks = 1; chunks <= 8192; chunks *= 2) {
    for (const around of [-1, 0, 1]) lengths.add(1024 * chunks + around);
  }
  for (let chunks = 0; chunks <= 70; chunks++) {
    for (const more of [0, 1, 64, 65, 1000]) lengths.add(1024 * chunks + more);
  }
  for (let length = 0; length <= 260; length++) lengths.add(length);
  for (const length of lengths) {
    assert.equal(
      toHex(blake3(bytes.subarray(0, length))),
      expected(bytes.subarray(0, length)),
      `${length} bytes`,
    );
  }
});

Deno.test("where the input is cut makes no difference", () => {
  const next = seeded(2);
  const bytes = seededBytes(1_000_000, 3);
  for (let round = 0; round < 60; round++) {
    const input = bytes.subarray(next(5), 1 + next(bytes.length));
    const bound = [2, 100, 3000, 40_000, 200_000][round % 5];
    const few = bound === 2 ? input.subarray(0, 5000) : input;
    assert.equal(inPieces(few, () => next(bound)), expected(few));
  }
});

Deno.test("hashers side by side do not disturb each other, nor does hashing at once", () => {
  const next = seeded(4);
  const bytes = seededBytes(300_000, 5);
  const states = Array.from(
    { length: 40 },
    () => ({ hasher: createBlake3(), at: 0, end: next(bytes.length) }),
  );
  for (let open = states.length; open > 0;) {
    const state = states[next(states.length)];
    if (state.at === state.end) continue;
    const stop = Math.min(state.end, state.at + 1 + next(60_000));
    state.hasher.update(bytes.subarray(state.at, stop));
    state.at = stop;
    if (stop === state.end) open--;
    assert.equal(toHex(blake3(bytes.subarray(0, stop))), expected(bytes.subarray(0, stop)));
  }
  for (const { hasher, end } of states) {
    assert.equal(toHex(hasher.digest()), expected(bytes.subarray(0, end)));
  }
});

Deno.test("the bytes given and the digests handed out are the caller's", () => {
  const bytes = countedBytes(2000);
  const hasher = createBlake3();
  hasher.update(bytes);
  bytes.fill(0);
  const digest = hasher.digest();
  assert.equal(toHex(digest), expected(countedBytes(2000)));
  digest.fill(0);
  assert.equal(toHex(blake3(countedBytes(2000))), expected(countedBytes(2000)));
});

Deno.test("a hundred thousand abandoned hashers take no memory", () => {
  // Each leaves 30,000 bytes of input behind: three gigabytes, were they kept.
  const bytes = countedBytes(30_000);
  const kernelSize = kernel!.memory.buffer.byteLength;
  const before = Deno.memoryUsage();
  let most = 0;
  for (let count = 0; count < 100_000; count++) {
    createBlake3().update(bytes);
    if (count % 1000 === 0) most = Math.max(most, Deno.memoryUsage().external);
  }
  assert.equal(kernel!.memory.buffer.byteLength, kernelSize);
  const growth = most - before.external;
  assert.ok(growth < 400_000_000, `${growth} bytes more outside the heap`);
});
