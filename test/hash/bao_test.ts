/** Outboards: those of bao and of bao-tree, however the bytes come. */
import assert from "node:assert/strict";
import { createBLAKE3 } from "hash-wasm";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { createBao, outboardOf } from "../../src/hash/bao.ts";
import { outboardLength } from "../../src/hash/bao_tree.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import official from "../vectors/bao/bao.json" with { type: "json" };
import baoTree from "../vectors/bao/bao_tree.json" with { type: "json" };
import { blobOf, integerBytes } from "./_bao.ts";
import { seeded, seededBytes } from "./_inputs.ts";

const oracle = await createBLAKE3();

function sizeBytes(size: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true);
  return bytes;
}

Deno.test("official outboards, groups of one chunk", () => {
  assert.equal(official.outboard.length, 13);
  for (const vector of official.outboard) {
    const { digest, outboard } = blobOf(integerBytes(vector.input_len), 0);
    const withSize = concat([sizeBytes(vector.input_len), outboard]);
    assert.equal(toHex(digest), vector.bao_hash, `${vector.input_len} bytes`);
    assert.equal(withSize.length, vector.output_len);
    assert.equal(toHex(blake3(withSize)), vector.encoded_blake3, `${vector.input_len} bytes`);
  }
});

Deno.test("the outboards of bao-tree, groups of 16 KiB", async () => {
  assert.equal(baoTree.cases.length, 17);
  for (const { size, digest, outboard } of baoTree.cases) {
    const bao = await outboardOf(integerBytes(size));
    assert.equal(bao.size, size);
    assert.equal(toHex(bao.digest), digest, `${size} bytes`);
    assert.deepEqual(
      [bao.outboard.length, toHex(blake3(bao.outboard as Bytes)).slice(0, 32)],
      outboard,
      `${size} bytes`,
    );
    assert.equal(outboardLength(size), outboard[0]);
  }
});

Deno.test("in pieces of any size, several hashers at once, the input used again", async () => {
  const next = seeded(41);
  const all = seededBytes(400_000, 42);
  for (const groupLog of [0, 1, 4, 6]) {
    for (const length of [0, 1, 16384, 16385, 70_000, 262_144, 399_999]) {
      const bytes = all.subarray(0, length);
      const whole = blobOf(bytes, groupLog);
      assert.equal(toHex(whole.digest), oracle.init().update(bytes).digest());
      const hashers = Array.from({ length: 3 }, () => createBao({ groupLog }));
      const piece = new Uint8Array(40_000);
      const place = hashers.map(() => 0);
      while (place.some((at) => at < length)) {
        hashers.forEach((hasher, i) => {
          const part = bytes.subarray(place[i], place[i] + next([20, 2000, 40_000][i]));
          piece.set(part);
          hasher.update(piece.subarray(0, part.length));
          piece.fill(255);
          place[i] += part.length;
        });
      }
      for (const hasher of hashers) {
        assert.deepEqual(hasher.digest(), whole.digest);
        assert.deepEqual(hasher.outboard(), whole.outboard, `${length} bytes, log ${groupLog}`);
      }
      const streamed = await outboardOf([bytes.subarray(0, length >> 1), bytes.subarray(length >> 1)], {
        groupLog,
      });
      assert.deepEqual(streamed, { digest: whole.digest, size: length, outboard: whole.outboard, groupLog });
    }
  }
});

Deno.test("misuse is refused", async () => {
  assert.throws(() => createBao().outboard(), TypeError);
  for (const groupLog of [-1, 0.5, 11, NaN]) {
    assert.throws(() => createBao({ groupLog }), RangeError, `${groupLog}`);
    await assert.rejects(outboardOf(new Uint8Array(1), { groupLog }), RangeError);
  }
  for (const size of [-1, 0.5, 2 ** 53]) assert.throws(() => outboardLength(size), RangeError, `${size}`);
});
