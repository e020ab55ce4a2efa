/** castore → NAR: stretches of archives, what they cost, and what is missing or not as it should be. */
import assert from "node:assert/strict";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { collect } from "../../src/bytes/streams.ts";
import type { BlobService } from "../../src/castore/blob_service.ts";
import type { FileNode } from "../../src/castore/node.ts";
import { DamageError, MissingError } from "../../src/errors.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pause } from "../castore/_watched_store.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { BLOBS } from "../contract/_castore_samples.ts";
import { vector, VECTORS } from "../nar/_nars.ts";
import { permissions, testNeeding } from "../needs.ts";
import { ingest, narOf, numbers, openStore, render, type Tree } from "./_trees.ts";

const test = testNeeding(permissions);

const MIB = 1024 * 1024;

/** Counts what is opened. */
function counting() {
  const seen = { opened: 0, ranges: [] as string[], underWay: 0, most: 0 };
  const wrap = (blobs: BlobService): BlobService => ({
    has: (digest) => blobs.has(digest),
    put: (source) => blobs.put(source),
    chunks: (digest) => blobs.chunks(digest),
    outboard: (digest) => blobs.outboard(digest),
    async open(digest, options) {
      seen.opened++;
      seen.ranges.push(options?.range ? `${options.range.start}-${options.range.end}` : "whole");
      seen.most = Math.max(seen.most, ++seen.underWay);
      await pause(1);
      seen.underWay--;
      return await blobs.open(digest, options);
    },
  });
  return { seen, wrap };
}

test("render: every archive, whole and in every two parts", async () => {
  for (const name of Object.keys(VECTORS)) {
    const nar = vector(`${name}.nar`);
    const store = openStore();
    const { node } = await ingest(store, nar);
    const step = nar.length > 1000 ? 997 : 1;
    for (let at = 0; at <= nar.length; at += step) {
      const parts = [
        await render(store, node, { start: 0, end: at }),
        await render(store, node, { start: at, end: nar.length }),
      ];
      sameBytes(concat(parts), nar, `${name} at ${at}`);
    }
  }
});

test("render: where other implementations seek to in helloworld.nar", async () => {
  const nar = vector("helloworld.nar");
  const store = openStore();
  const { node } = await ingest(store, nar);
  for (const start of [0x60, 0x65, 0x68, 0x70]) {
    sameBytes(await render(store, node, { start, end: start + 10 }), nar.slice(start, start + 10));
  }
  assert.equal(
    new TextDecoder().decode(await render(store, node, { start: 0x60, end: 0x6c })),
    "Hello World!",
  );
});

Deno.test("render: stretches of a tree with large blobs, in pieces of a bounded length", async () => {
  const tree: Tree = {
    a: pattern(3 * MIB + 5, 1),
    b: { c: pattern(700_000, 2), d: "x", e: pattern(10, 3) },
    f: pattern(65_536, 4),
  };
  const nar = await narOf(tree);
  const store = openStore();
  const { node } = await ingest(store, nar);
  const layout = await narLayout(node, store.directories);
  const next = numbers(5);
  const ranges = [[0, nar.length], [0, nar.length + 99], [nar.length - 1, nar.length], [
    nar.length,
    nar.length + 1,
  ]];
  for (let i = 0; i < 60; i++) {
    const start = next(nar.length);
    ranges.push([start, start + next([100, 100_000, nar.length][i % 3])]);
  }
  for (const [start, end] of ranges) {
    const pieces: Bytes[] = [];
    for await (const piece of renderNar(layout, store.blobs, { start, end })) pieces.push(piece);
    sameBytes(concat(pieces), nar.slice(start, end), `${start} to ${end}`);
    for (const { length } of pieces) {
      assert.ok(length > 0 && length <= 512 * 1024, `a piece of ${length} bytes`);
    }
  }
});

Deno.test("render: small files and the words between are put together", async () => {
  const nar = await narOf(
    Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`f${i}`, pattern(300, i)])),
  );
  const store = openStore();
  const { node } = await ingest(store, nar);
  const pieces: Bytes[] = [];
  for await (const piece of renderNar(await narLayout(node, store.directories), store.blobs)) {
    pieces.push(piece);
  }
  sameBytes(concat(pieces), nar);
  assert.ok(pieces.length < nar.length / 200_000 + 2, `${pieces.length} pieces`);
});

Deno.test("render: a stretch opens the blobs in it, and asks for the part it wants", async () => {
  const tree = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${10 + i}`, pattern(10_000, i)]));
  const nar = await narOf(tree);
  const { seen, wrap } = counting();
  const store = openStore(wrap);
  const { node } = await ingest(store, nar);
  // Each entry is its words and 10,000 bytes; the first contents begin after the words of archive, folder and entry.
  const entry = (nar.length - 24 - 32 - 24 - 16) / 50;
  const contents = (i: number) => nar.length - 16 - (50 - i) * entry + entry - 16 - 16 - 10_000;
  for (
    const [from, to, ranges] of [
      [contents(20) + 5, contents(20) + 10, ["5-10"]],
      [contents(20), contents(20) + 10_000, ["whole"]],
      [contents(20) - 1, contents(21) + 1, ["whole", "0-1"]],
      [contents(20) + 9_999, contents(23), ["9999-10000", "whole", "whole"]],
      [contents(20) - 50, contents(20), []],
      [0, 24, []],
      [nar.length - 10, nar.length, []],
    ] as [number, number, string[]][]
  ) {
    seen.ranges = [];
    sameBytes(await render(store, node, { start: from, end: to }), nar.slice(from, to));
    assert.deepEqual(seen.ranges, ranges, `${from} to ${to}`);
  }
});

Deno.test("render: blobs are opened many at a time, with a bound, and only as far as is read", async () => {
  const nar = await narOf(
    Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`f${i}`, pattern(2000, i)])),
  );
  const { seen, wrap } = counting();
  const store = openStore(wrap);
  const { node } = await ingest(store, nar);
  const layout = await narLayout(node, store.directories);
  sameBytes(await render(store, node), nar);
  assert.ok(seen.most >= 64 && seen.most <= 512, `${seen.most} at once`);
  seen.opened = 0;
  for await (const _ of renderNar(layout, store.blobs)) break;
  await pause(10);
  assert.ok(seen.opened < 1500, `${seen.opened} blobs were opened for the first piece`);
});

/** A service with or without a way to get blobs together, and what it was asked. */
function counted(blobs: BlobService, together: boolean) {
  const seen = { opened: 0, together: 0, calls: 0, underWay: 0, most: 0 };
  const slowly = async <T>(count: number, work: () => Promise<T>) => {
    seen.most = Math.max(seen.most, seen.underWay += count);
    await pause(1);
    seen.underWay -= count;
    return await work();
  };
  const service: BlobService = {
    has: (digest) => blobs.has(digest),
    put: (source) => blobs.put(source),
    chunks: (digest) => blobs.chunks(digest),
    outboard: (digest) => blobs.outboard(digest),
    open(digest, options) {
      seen.opened++;
      return slowly(1, () => blobs.open(digest, options));
    },
    getAll(digests) {
      seen.calls++;
      seen.together += digests.length;
      return slowly(digests.length, () => blobs.getAll!(digests));
    },
  };
  if (!together) delete service.getAll;
  return { seen, service };
}

Deno.test("render: short blobs are got together where that can be, else opened many at a time", async () => {
  const files = Array.from({ length: 3000 }, (_, i) => pattern(i % 500 === 7 ? 200_000 : 2000, i));
  const nar = await narOf(Object.fromEntries(files.map((bytes, i) => [`f${10_000 + i}`, bytes])));
  const store = openStore();
  const { node } = await ingest(store, nar);
  const layout = await narLayout(node, store.directories);
  for (const together of [true, false]) {
    const { seen, service } = counted(store.blobs, together);
    const pieces: Bytes[] = [];
    for await (const piece of renderNar(layout, service)) pieces.push(piece);
    sameBytes(concat(pieces), nar);
    if (together) {
      assert.ok(seen.opened === 6 && seen.together === 2994 && seen.calls < 60, JSON.stringify(seen));
    } else assert.ok(seen.opened === 3000, JSON.stringify(seen));
    assert.ok(seen.most >= 64 && seen.most <= 640, JSON.stringify(seen));
    const stretch = { start: 3_000_777, end: 3_100_001 };
    sameBytes(await collect(renderNar(layout, service, stretch)), nar.slice(stretch.start, stretch.end));
  }
});

Deno.test("render: a blob that is not stored is a MissingError, and what came before is right", async () => {
  const tree = { a: pattern(300_000, 1), b: pattern(400_000, 2), c: pattern(10, 3), d: pattern(500_000, 4) };
  const nar = await narOf(tree);
  const store = openStore();
  const { node } = await ingest(store, nar);
  const { digest } = await store.blobs.put(tree.c);
  await store.bytes.delete("chunk/" + digest.toHex());
  const pieces: Bytes[] = [];
  const reading = (async () => {
    const layout = await narLayout(node, store.directories);
    for await (const piece of renderNar(layout, store.blobs)) pieces.push(piece);
  })();
  await assert.rejects(reading, MissingError);
  const got = concat(pieces);
  assert.ok(got.length >= 600_000, `${got.length} bytes came`);
  sameBytes(got, nar.slice(0, got.length));
  const start = nar.length - 400_000;
  sameBytes(await render(store, node, { start, end: nar.length }), nar.slice(start), "a stretch without it");
});

test("render: a blob that is longer or shorter than its file is a DamageError, before any of it", async () => {
  const store = openStore();
  const { bytes, digest } = BLOBS[1];
  await store.blobs.put(bytes);
  for (const size of [42, 2, 11, 13, 2 ** 40]) {
    const node: FileNode = { type: "file", digest, size, executable: false };
    await assert.rejects(render(store, node), DamageError, `${size} bytes`);
    await assert.rejects(
      render(store, node, { start: 96, end: 98 }),
      DamageError,
      `a stretch of ${size} bytes`,
    );
  }
  const node: FileNode = { type: "file", digest, size: 12, executable: false };
  sameBytes(await render(store, node), vector("helloworld.nar"));
});

test("render: a blob that is damaged is a DamageError", async () => {
  const store = openStore();
  const { node } = await ingest(store, vector("helloworld.nar"));
  await store.bytes.put("chunk/" + BLOBS[1].digest.toHex(), BLOBS[4].bytes);
  await assert.rejects(render(store, node), DamageError);
});

Deno.test("render: leaving early while blobs fail ahead leaves nothing unhandled", async () => {
  const nar = await narOf({ a: pattern(300_000), b: pattern(10, 1), c: pattern(10, 2) });
  const store = openStore();
  const { node } = await ingest(store, nar);
  for (const seed of [1, 2]) {
    const { digest } = await store.blobs.put(pattern(10, seed));
    await store.bytes.delete("chunk/" + digest.toHex());
  }
  for await (const _ of renderNar(await narLayout(node, store.directories), store.blobs)) break;
  await pause(10);
});
