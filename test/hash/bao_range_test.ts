/** Ranges verified with an outboard at hand. */
import assert from "node:assert/strict";
import { concat } from "../../src/bytes/bytes.ts";
import { fromHex } from "../../src/bytes/hex.ts";
import { groupsOf, verifyRange } from "../../src/hash/bao_range.ts";
import official from "../vectors/bao/bao.json" with { type: "json" };
import { blobOf, integerBytes } from "./_bao.ts";
import { seeded, seededBytes } from "./_inputs.ts";

Deno.test("official outboards prove their blobs; corrupted ones, and blobs, are refused", () => {
  for (const vector of official.outboard) {
    const bytes = integerBytes(vector.input_len);
    const blob = { ...blobOf(bytes, 0), digest: fromHex(vector.bao_hash) };
    const all = { start: 0, end: blob.size };
    assert.deepEqual(verifyRange(blob, all, bytes), bytes);
    for (const at of vector.input_corruptions) {
      const damaged = bytes.slice();
      damaged[at] ^= 1;
      assert.throws(() => verifyRange(blob, all, damaged), { name: "DamageError", kind: "blob" }, `${at}`);
    }
    // A corruption at 0 is one of the size, which stands before an official outboard.
    for (const at of vector.outboard_corruptions.filter((place) => place > 0)) {
      const outboard = blob.outboard.slice();
      outboard[at - 8] ^= 1;
      const damaged = { ...blob, outboard };
      assert.throws(
        () => verifyRange(damaged, all, bytes),
        { name: "DamageError", kind: "outboard" },
        `${at}`,
      );
    }
    const longer = { ...blob, size: blob.size ^ 1 };
    assert.throws(() => verifyRange(longer, all, bytes), { name: "DamageError" });
  }
});

Deno.test("any range, of the groups it touches alone", () => {
  const next = seeded(71);
  for (const groupLog of [0, 2, 4]) {
    const blob = blobOf(seededBytes(300_000, 72), groupLog);
    const length = 1024 << groupLog;
    for (let round = 0; round < 200; round++) {
      const start = next(310_000);
      const range = { start, end: start + next([3, 50_000][round % 2]) };
      const { start: from, end: to } = groupsOf(blob.size, range, blob);
      assert.ok(from % length === 0 && (to % length === 0 || to === blob.size));
      assert.ok(to - from < range.end - range.start + 2 * length);
      const found = verifyRange(blob, range, blob.bytes.subarray(from, to));
      assert.deepEqual(found, blob.bytes.subarray(range.start, range.end));
    }
  }
});

Deno.test("each byte of a group and of the parents above it counts", () => {
  const blob = blobOf(seededBytes(9000, 73), 0);
  const range = { start: 2500, end: 2600 };
  const { start, end } = groupsOf(blob.size, range, blob);
  assert.deepEqual([start, end], [2048, 3072]);
  const groups = blob.bytes.subarray(start, end);
  for (let at = 0; at < groups.length; at++) {
    const damaged = groups.slice();
    damaged[at] ^= 16;
    assert.throws(() => verifyRange(blob, range, damaged), { kind: "blob" }, `${at}`);
  }
  let looked = 0;
  for (let at = 0; at < blob.outboard.length; at++) {
    const outboard = blob.outboard.slice();
    outboard[at] ^= 16;
    try {
      assert.deepEqual(verifyRange({ ...blob, outboard }, range, groups), blob.bytes.subarray(2500, 2600));
    } catch (error) {
      assert.equal((error as { kind: string }).kind, "outboard", `${error}`);
      looked++;
    }
  }
  assert.equal(looked, 4 * 64); // nine chunks: the root, eight below it, four, two
});

Deno.test("bytes or an outboard of another length are refused", () => {
  const blob = blobOf(seededBytes(9000, 74), 0);
  const range = { start: 0, end: 2000 };
  for (const length of [0, 1999, 2000, 2047, 2049]) {
    assert.throws(() => verifyRange(blob, range, blob.bytes.subarray(0, length)), { kind: "blob" });
  }
  const longer = concat([blob.outboard, new Uint8Array(64)]);
  for (const outboard of [new Uint8Array(0), blob.outboard.subarray(64), longer]) {
    const damaged = { ...blob, outboard };
    assert.throws(() => verifyRange(damaged, range, blob.bytes.subarray(0, 2048)), { kind: "outboard" });
  }
  assert.throws(() => groupsOf(10, { start: 3, end: 2 }), RangeError);
});
