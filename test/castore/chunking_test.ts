/** Cutting blobs: a stream is cut where its bytes in one array are, however it comes. */
import assert from "node:assert/strict";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { chunkStream } from "../../src/castore/chunking.ts";
import { cutPoint } from "../../src/hash/fastcdc.ts";
import { chunksOf } from "./_chunks.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { BLOB_B } from "../contract/_castore_samples.ts";

const MAX = 524288;
const cut = (ahead: Bytes) => ({ length: cutPoint(ahead) });

async function streamed(bytes: Bytes, lengthOf: (i: number) => number): Promise<number[]> {
  const piece = new Uint8Array(4_000_000); // one array for all pieces, as a source may have
  async function* source(): AsyncGenerator<Bytes> {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const part = bytes.subarray(at, at + lengthOf(i));
      piece.set(part);
      yield await piece.subarray(0, part.length);
      piece.fill(0xee, 0, part.length);
      at += part.length;
    }
  }
  const chunks: Bytes[] = [];
  for await (const { chunk } of chunkStream(source(), cut)) chunks.push(chunk.slice());
  sameBytes(concat(chunks), bytes);
  return chunks.map(({ length }) => length);
}

Deno.test("chunks: those that other implementations cut", () => {
  assert.deepEqual([...chunksOf(BLOB_B)].map(({ length }) => length), [524288, 520192]);
  const zeros = [...chunksOf(new Uint8Array(3 * 1048576 + 5))].map(({ length }) => length);
  assert.deepEqual(zeros, [...Array(6).fill(524288), 5]);
  assert.deepEqual([...chunksOf(new Uint8Array(0))], []);
});

Deno.test("chunks: none is shorter than 128 KiB but the last, none longer than 512 KiB", () => {
  for (let seed = 0; seed < 5; seed++) {
    const lengths = [...chunksOf(pattern(7_000_000, seed))].map(({ length }) => length);
    for (const length of lengths.slice(0, -1)) assert.ok(length >= 131072 && length <= MAX, `${length}`);
    assert.equal(lengths.reduce((sum, length) => sum + length), 7_000_000);
  }
});

Deno.test("chunk stream: cut as the whole is, for pieces of any length", async () => {
  const inputs = [
    0,
    1,
    131071,
    131072,
    131073,
    MAX - 1,
    MAX,
    MAX + 1,
    2 * MAX,
    4 * MAX,
    4 * MAX + 1,
    5_000_011,
  ];
  const cuts: [string, (i: number) => number][] = [
    ["whole", () => 4_000_000],
    ["512 KiB", () => MAX],
    ["one less", () => MAX - 1],
    ["one more", () => MAX + 1],
    ["64 KiB", () => 65536],
    ["odd", () => 99_991],
    ["uneven", (i) => [0, 1, 700_000, 0, 13, 300_000, 1_500_000][i % 7]],
  ];
  for (const length of inputs) {
    for (const bytes of [pattern(length, 3), new Uint8Array(length)]) {
      const want = [...chunksOf(bytes)].map((chunk) => chunk.length);
      for (const [name, lengthOf] of cuts) {
        assert.deepEqual(await streamed(bytes, lengthOf), want, `${length} bytes, ${name}`);
      }
    }
  }
});

Deno.test("chunk stream: byte by byte", async () => {
  const bytes = pattern(700_001);
  assert.deepEqual(await streamed(bytes, () => 7), [...chunksOf(bytes)].map(({ length }) => length));
});

Deno.test("chunk stream: what the source throws is thrown, and leaving it early ends the source", async () => {
  let returned = false;
  async function* source() {
    try {
      for (let i = 0; i < 10; i++) yield await pattern(400_000, i);
      throw new RangeError("the source fails");
    } finally {
      returned = true;
    }
  }
  await assert.rejects(Array.fromAsync(chunkStream(source(), cut)), /the source fails/);
  returned = false;
  for await (const _ of chunkStream(source(), cut)) break;
  assert.equal(returned, true);
});
