/** Parts of BLAKE3's tree: put together they must give the digest that hash-wasm finds for the whole. */
import assert from "node:assert/strict";
import { createBLAKE3 } from "hash-wasm";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { plainParent, plainSubtree } from "../../src/hash/blake3_plain.ts";
import { CHUNK_LENGTH, parentValue, rootDigest, subtreeValue } from "../../src/hash/blake3_tree.ts";
import { seeded, seededBytes } from "./_inputs.ts";

const oracle = await createBLAKE3();
const BYTES = seededBytes(3_000_000, 7);

/** The length of the left child. */
function leftLength(length: number): number {
  let left = CHUNK_LENGTH;
  while (2 * left < length) left *= 2;
  return left;
}

/** The value of a node from parts of at most `most` bytes. */
function fromParts(bytes: Bytes, firstChunk: number, most: number): Bytes {
  if (bytes.length <= most) return subtreeValue(bytes, firstChunk);
  const left = leftLength(bytes.length);
  return parentValue(
    fromParts(bytes.subarray(0, left), firstChunk, most),
    fromParts(bytes.subarray(left), firstChunk + left / CHUNK_LENGTH, most),
  );
}

Deno.test("parts of any size give the whole's digest", () => {
  const next = seeded(8);
  const lengths = [1025, 2048, 2049, 3072, 5000, 32768, 32769, 65536, 65537, 100_000, 1 << 20, 2_999_999];
  for (const length of [...lengths, ...Array.from({ length: 20 }, () => 1025 + next(500_000))]) {
    const bytes = BYTES.subarray(0, length);
    const expected = oracle.init().update(bytes).digest();
    const left = leftLength(length);
    for (const most of [CHUNK_LENGTH, 8 * CHUNK_LENGTH, 1 << 16, 1 << 21]) {
      const values = [
        fromParts(bytes.subarray(0, left), 0, most),
        fromParts(bytes.subarray(left), left / CHUNK_LENGTH, most),
      ];
      assert.equal(toHex(rootDigest(values[0], values[1])), expected, `${length} bytes by ${most}`);
    }
  }
});

Deno.test("the plain implementation finds the same values, at any chunk", () => {
  const next = seeded(9);
  const places: [number, number][] = [[1, 0], [64, 1], [65, 2 ** 32], [1024, 2 ** 32 - 1], [
    1023,
    2 ** 43 + 5,
  ]];
  for (let chunks = 2; chunks <= 128; chunks *= 2) {
    const most = 1024 * chunks;
    places.push([most, 2 ** 32 - chunks], [most, 2 ** 32], [most - next(most / 2), chunks * next(1000)]);
  }
  for (const [length, chunk] of places) {
    const bytes = BYTES.subarray(0, length);
    assert.equal(
      toHex(subtreeValue(bytes, chunk)),
      toHex(plainSubtree(bytes, chunk)),
      `${length} at ${chunk}`,
    );
  }
  const [left, right] = [BYTES.slice(0, 32), BYTES.slice(32, 64)];
  assert.deepEqual(parentValue(left, right), plainParent(left, right, false));
  assert.deepEqual(rootDigest(left, right), plainParent(left, right, true));
});

Deno.test("plain parts give the whole's digest", () => {
  for (const length of [1025, 3000, 70_001]) {
    const left = leftLength(length);
    const digest = plainParent(
      plainSubtree(BYTES.subarray(0, left), 0),
      plainSubtree(BYTES.subarray(left, length), left / CHUNK_LENGTH),
      true,
    );
    assert.equal(toHex(digest), oracle.init().update(BYTES.subarray(0, length)).digest());
  }
});

Deno.test("what is not a node is refused", () => {
  const places: [number, number][] = [[0, 0], [2048, 1], [2049, 2], [4096, 6], [1, -1], [1, 0.5], [
    1,
    2 ** 53,
  ]];
  for (const [length, chunk] of places) {
    assert.throws(() => subtreeValue(BYTES.subarray(0, length), chunk), RangeError, `${length} at ${chunk}`);
  }
});
