/** Whole outboards, verified without their blobs. */
import assert from "node:assert/strict";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { verifyOutboard } from "../../src/hash/bao_outboard.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import baoTree from "../vectors/bao/bao_tree.json" with { type: "json" };
import { blobOf, integerBytes } from "./_bao.ts";

const REFUSED = { name: "DamageError", kind: "outboard" };

Deno.test("the outboards of bao-tree are accepted, and of no other blob", () => {
  for (const vector of baoTree.cases) {
    const { outboard } = blobOf(integerBytes(vector.size), 4);
    assert.equal(toHex(blake3(outboard as Bytes)).slice(0, 32), vector.outboard[1]);
    const bao = { digest: fromHex(vector.digest), size: vector.size, outboard };
    verifyOutboard(bao);
    if (outboard.length === 0) continue;
    assert.throws(() => verifyOutboard({ ...bao, digest: blake3(outboard as Bytes) }), REFUSED);
    for (const length of [0, outboard.length - 64, outboard.length - 1]) {
      assert.throws(() => verifyOutboard({ ...bao, outboard: outboard.subarray(0, length) }), REFUSED);
    }
    const longer = { ...bao, outboard: new Uint8Array(outboard.length + 64) };
    longer.outboard.set(outboard);
    assert.throws(() => verifyOutboard(longer), REFUSED);
    assert.throws(() => verifyOutboard({ ...longer, size: bao.size + 16384 }), REFUSED);
  }
});

Deno.test("each byte of each parent counts", () => {
  for (const [size, groupLog] of [[12 * 1024 + 1, 0], [300_000, 4]]) {
    const blob = blobOf(integerBytes(size), groupLog);
    verifyOutboard(blob);
    for (let at = 0; at < blob.outboard.length; at++) {
      const outboard = blob.outboard.slice();
      outboard[at] ^= 1 << at % 8;
      assert.throws(() => verifyOutboard({ ...blob, outboard }), REFUSED, `byte ${at} of ${size}`);
    }
  }
});

Deno.test("a wrong shape is a RangeError", () => {
  const blob = blobOf(integerBytes(40_000), 4);
  for (const groupLog of [-1, 11]) assert.throws(() => verifyOutboard({ ...blob, groupLog }), RangeError);
  assert.throws(() => verifyOutboard({ ...blob, size: -1 }), RangeError);
});
