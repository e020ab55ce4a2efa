/** Slices: those of bao and of bao-tree, and that nothing but the blob's own bytes ever comes out of one. */
import assert from "node:assert/strict";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { collect } from "../../src/bytes/streams.ts";
import { DamageError, FormatError } from "../../src/errors.ts";
import { encodeSlice, sliceLength, verifySlice } from "../../src/hash/bao_slice.ts";
import type { BaoRange } from "../../src/hash/bao_tree.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import official from "../vectors/bao/bao.json" with { type: "json" };
import baoTree from "../vectors/bao/bao_tree.json" with { type: "json" };
import { type Blob, blobOf, cut, integerBytes, outcomeOf, sliceOf } from "./_bao.ts";
import { seeded, seededBytes } from "./_inputs.ts";

const SPECIFIED = { proveSize: false };

function partOf(blob: Blob, { start, end }: BaoRange): Bytes {
  return blob.bytes.subarray(start, end);
}

async function assertVerified(
  blob: Blob,
  range: BaoRange,
  encoded: Bytes,
  options = {},
  next?: () => number,
) {
  const { bytes, error } = await outcomeOf(blob, range, encoded, options, next);
  assert.equal(error, undefined, `${blob.size} bytes, ${JSON.stringify(range)}`);
  assert.ok(Buffer.compare(bytes, partOf(blob, range)) === 0, `${blob.size} bytes, ${JSON.stringify(range)}`);
}

/** That it is refused, and that what came out before is the beginning of what was asked for. */
async function assertRefused(blob: Blob, range: BaoRange, encoded: Bytes, message: string, options = {}) {
  const { bytes, error } = await outcomeOf(blob, range, encoded, options);
  assert.ok(error instanceof FormatError, `${message}: ${error}`);
  assert.ok(Buffer.compare(bytes, partOf(blob, range).subarray(0, bytes.length)) === 0, message);
}

function changed(bytes: Bytes, at: number, bits = 1): Bytes {
  const copy = bytes.slice();
  copy[at] ^= bits;
  return copy;
}

/** Ends and beginnings of ranges: at and around the chunks' bounds, and beyond the blob's end. */
function placesIn(size: number): number[] {
  const places = [0, 1, 500, size - 1, size, size + 1, size + 5000];
  for (let at = 1024; at < size; at += 1024) places.push(at - 1, at, at + 1);
  return [...new Set(places)].filter((place) => place >= 0).sort((a, b) => a - b);
}

function* rangesOf(size: number): Generator<BaoRange> {
  const places = placesIn(size);
  for (const start of places) for (const end of places) if (start <= end) yield { start, end };
}

Deno.test("official encodings are slices of the whole; corrupted ones are refused", async () => {
  for (const vector of official.encode) {
    const blob = blobOf(integerBytes(vector.input_len), 0);
    const range = { start: 0, end: blob.size };
    const encoded = await sliceOf(blob, range, SPECIFIED);
    assert.equal(encoded.length, vector.output_len);
    assert.equal(toHex(blake3(encoded)), vector.encoded_blake3, `${blob.size} bytes`);
    await assertVerified(blob, range, encoded, SPECIFIED);
    for (const at of vector.corruptions) {
      await assertRefused(blob, range, changed(encoded, at), `${blob.size} at ${at}`, SPECIFIED);
    }
  }
});

Deno.test("official slices; corrupted ones are refused", async () => {
  let slices = 0;
  for (const vector of official.slice) {
    const blob = blobOf(integerBytes(vector.input_len), 0);
    assert.equal(toHex(blob.digest), vector.bao_hash);
    for (const { start, len, output_len, output_blake3, corruptions } of vector.slices) {
      const range = { start, end: start + len };
      const encoded = await sliceOf(blob, range, SPECIFIED);
      assert.equal(encoded.length, output_len);
      assert.equal(toHex(blake3(encoded)), output_blake3, `${blob.size} bytes, ${start} + ${len}`);
      await assertVerified(blob, range, encoded, SPECIFIED);
      for (const at of corruptions) {
        await assertRefused(
          blob,
          range,
          changed(encoded, at),
          `${blob.size}, ${start} + ${len} at ${at}`,
          SPECIFIED,
        );
      }
      slices++;
    }
  }
  assert.ok(slices > 200, `${slices}`);
});

Deno.test("the slices of bao-tree, groups of 16 KiB", async () => {
  let slices = 0;
  for (const { size, digest, slices: vectors } of baoTree.cases) {
    const blob = blobOf(integerBytes(size), 4);
    for (const [start, end, ...expected] of vectors as [number, number, ...unknown[]][]) {
      const range = { start, end };
      const found = [];
      for (const proveSize of [false, true]) {
        const encoded = await sliceOf(blob, range, { proveSize });
        found.push(encoded.length, toHex(blake3(encoded)).slice(0, 32));
        await assertVerified({ ...blob, digest: fromHex(digest) }, range, encoded, { proveSize });
      }
      assert.deepEqual(found, expected, `${size} bytes, ${start} to ${end}`);
      slices++;
    }
  }
  assert.ok(slices > 700, `${slices}`);
});

Deno.test("every range of small blobs", async () => {
  const all = seededBytes(9000, 51);
  for (const groupLog of [0, 1, 4]) {
    for (const size of [0, 1, 1024, 1025, 2048, 3073, 5000, 8192]) {
      const blob = blobOf(all.subarray(0, size), groupLog);
      for (const range of rangesOf(size)) {
        const encoded = await sliceOf(blob, range);
        const { bytes, size: proven } = await outcomeOf(blob, range, encoded);
        assert.ok(
          Buffer.compare(bytes, partOf(blob, range)) === 0,
          `${size} bytes, ${JSON.stringify(range)}`,
        );
        assert.equal(proven, size);
      }
    }
  }
});

Deno.test("ranges of a large blob, in pieces of any size", async () => {
  const next = seeded(52);
  const blob = blobOf(seededBytes(3_000_000, 53), 4);
  for (let round = 0; round < 100; round++) {
    const start = next(3_100_000);
    const range = { start, end: start + next([5, 100_000, 3_000_000][round % 3]) };
    const length = () => 1 + next([3000, 30_000, 300_000][round % 3]);
    const read = ({ start, end }: BaoRange) => cut(blob.bytes.subarray(start, end), length);
    await assertVerified(blob, range, await collect(encodeSlice(blob, range, read)), {}, length);
  }
});

Deno.test("each byte changed, and each cut, is refused", async () => {
  const next = seeded(54);
  const all = seededBytes(6000, 55);
  const cases: [number, number, BaoRange[]][] = [
    [0, 0, [{ start: 0, end: 0 }]],
    [1, 4, [{ start: 0, end: 1 }, { start: 7, end: 8 }]],
    [3000, 0, [{ start: 0, end: 3000 }, { start: 0, end: 10 }, { start: 1500, end: 1500 }]],
    [6000, 1, [{ start: 0, end: 6000 }, { start: 2100, end: 4000 }]],
    [6000, 4, [{ start: 17, end: 18 }]],
  ];
  for (const [size, groupLog, ranges] of cases) {
    const blob = blobOf(all.subarray(0, size), groupLog);
    for (const range of ranges) {
      const encoded = await sliceOf(blob, range);
      for (let at = 0; at < encoded.length; at++) {
        await assertRefused(
          blob,
          range,
          changed(encoded, at, 1 << next(8)),
          `${size} bytes, changed at ${at}`,
        );
        await assertRefused(blob, range, encoded.subarray(0, at), `${size} bytes, cut at ${at}`);
      }
      await assertRefused(blob, range, concat([encoded, new Uint8Array(1)]), `${size} bytes, one more`);
    }
  }
});

Deno.test("every wrong size is refused where the range is in the middle", async () => {
  const blob = blobOf(seededBytes(5000, 56), 0);
  const range = { start: 1200, end: 1300 };
  const encoded = await sliceOf(blob, range);
  const view = new DataView(encoded.buffer, encoded.byteOffset);
  for (let size = 0; size < 20_000; size++) {
    view.setBigUint64(0, BigInt(size), true);
    if (size !== 5000) await assertRefused(blob, range, encoded, `${size}`);
  }
  for (const size of [2n ** 52n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    view.setBigUint64(0, size, true);
    await assertRefused(blob, range, encoded, `${size}`);
  }
});

Deno.test("a size is told only when it is proven", async () => {
  const blob = blobOf(seededBytes(5000, 57), 0);
  const sizeAfter = async (range: BaoRange) =>
    (await outcomeOf(blob, range, await sliceOf(blob, range, SPECIFIED), SPECIFIED)).size;
  assert.equal(await sizeAfter({ start: 0, end: 4096 }), undefined);
  assert.equal(await sizeAfter({ start: 0, end: 5000 }), 5000);
  assert.equal(await sizeAfter({ start: 9000, end: 9000 }), 5000);

  // As the specification has it: a wrong size changes nothing that is given out while the end is not in the slice.
  const range = { start: 0, end: 1024 };
  const slice = changed(await sliceOf(blob, range, SPECIFIED), 0);
  await assertVerified(blob, range, slice, SPECIFIED);
  await assertRefused(blob, range, slice, "another size than the known one", { ...SPECIFIED, size: 5000 });
});

Deno.test("another blob's slice, and another range's, are refused", async () => {
  const blob = blobOf(seededBytes(40_000, 58), 0);
  const other = blobOf(seededBytes(40_000, 59), 0);
  const range = { start: 3000, end: 20_000 };
  await assertRefused(blob, range, await sliceOf(other, range), "another blob");
  await assertRefused(blob, range, await sliceOf(blob, { start: 4096, end: 20_000 }), "another range");
  await assertRefused(blob, range, await sliceOf(blob, range, SPECIFIED), "without the end");
  await assertRefused(
    blob,
    range,
    await sliceOf({ ...blob, ...blobOf(blob.bytes, 1) }, range),
    "other groups",
  );
});

Deno.test("an encoder reads the groups of the range and the last one, when they are asked for", async () => {
  const blob = blobOf(seededBytes(200_000, 60), 4);
  const asked: BaoRange[] = [];
  let pulled = 0;
  let cancelled = false;
  function* read(range: BaoRange): Generator<Bytes> {
    asked.push(range);
    try {
      for (let at = range.start; at < range.end; at += 1000) {
        pulled++;
        yield blob.bytes.subarray(at, Math.min(at + 1000, range.end));
      }
    } finally {
      cancelled = true;
    }
  }
  const range = { start: 20_000, end: 50_000 };
  const pieces = encodeSlice(blob, range, read);
  assert.deepEqual(asked, []);
  await pieces.next();
  assert.deepEqual(asked, [{ start: 16384, end: 65536 }]);
  assert.equal(pulled, 17);
  await pieces.return();
  assert.ok(cancelled);
  for await (const _ of encodeSlice(blob, range, read));
  assert.deepEqual(asked.slice(1), [{ start: 16384, end: 65536 }, { start: 196608, end: 200_000 }]);
});

Deno.test("an encoder says where stored bytes are not as long as they should be", async () => {
  const blob = blobOf(seededBytes(40_000, 61), 4);
  const range = { start: 0, end: 20_000 };
  for (const length of [32_767, 32_769]) {
    const slice = encodeSlice(blob, range, () => [blob.bytes.subarray(0, length)]);
    await assert.rejects(Array.fromAsync(slice), DamageError, `${length}`);
  }
  const short = { ...blob, outboard: blob.outboard.subarray(64) };
  await assert.rejects(sliceOf(short, range), { name: "DamageError", kind: "outboard" });
});

Deno.test("a verifier holds little of a slice that never ends, and cancels what it reads", async () => {
  const blob = blobOf(seededBytes(40_000, 62), 4);
  const range = { start: 0, end: Number.MAX_SAFE_INTEGER };
  let pieces = 0;
  let cancelled = 0;
  const source = (first: Bytes) =>
    new ReadableStream<Bytes>({
      start: (controller) => controller.enqueue(first),
      pull: (controller) => (pieces++, controller.enqueue(new Uint8Array(4096))),
      cancel: () => void cancelled++,
    }, { highWaterMark: 0 });
  const huge = new Uint8Array([0, 0, 0, 0, 0, 0, 16, 0]);
  await assert.rejects(Array.fromAsync(verifySlice(blob.digest, range, source(huge))), FormatError);
  assert.deepEqual([pieces, cancelled], [1, 1]);

  for await (const piece of verifySlice(blob.digest, range, source(await sliceOf(blob, range)))) {
    assert.deepEqual(piece, blob.bytes.subarray(0, 16384));
    break;
  }
  assert.deepEqual([pieces, cancelled], [1, 2]);
});

Deno.test("what is no range is refused, and a source's own error comes through", async () => {
  const blob = blobOf(seededBytes(2000, 63), 0);
  const encoded = await sliceOf(blob, { start: 0, end: 1 });
  for (const [start, end] of [[-1, 2], [2, 1], [0.5, 2], [0, Infinity], [0, 2 ** 53]]) {
    await assert.rejects(sliceOf(blob, { start, end }), RangeError);
    assert.ok((await outcomeOf(blob, { start, end }, encoded)).error instanceof RangeError);
  }
  const broken = new Error("broken");
  function* source() {
    yield encoded.subarray(0, 100);
    throw broken;
  }
  await assert.rejects(Array.fromAsync(verifySlice(blob.digest, { start: 0, end: 1 }, source())), broken);
});

Deno.test("the length of a slice is known before", async () => {
  for (const { size, slices } of baoTree.cases) {
    for (const [start, end, length, , proven] of slices as [number, number, number, string, number][]) {
      assert.equal(sliceLength(size, { start, end }, SPECIFIED), length, `${start} to ${end} of ${size}`);
      assert.equal(sliceLength(size, { start, end }), proven, `${start} to ${end} of ${size}, with its size`);
    }
  }
  const next = seeded(91);
  for (let round = 0; round < 300; round++) {
    const blob = blobOf(seededBytes(next(60_000), round), next(4));
    const start = next(70_000);
    const range = { start, end: [start, start + next(5000), Number.MAX_SAFE_INTEGER][round % 3] };
    const options = { proveSize: round % 2 === 0, groupLog: blob.groupLog };
    const { length } = await sliceOf(blob, range, options);
    assert.equal(sliceLength(blob.size, range, options), length, JSON.stringify({ range, ...options }));
  }
  assert.throws(() => sliceLength(10, { start: 5, end: 4 }), RangeError);
});
