/** Blobs on a ByteStore, seen from below: what is stored where, at what pace, and what a failure leaves. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { blobsOver } from "../../src/castore/blobs_over.ts";
import {
  blobKey,
  chunkKey,
  encodeChunkList,
  getLong,
  outboardKey,
  putLong,
} from "../../src/castore/layout.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import { indexOver } from "../../src/combinators/pack_index.ts";
import { DamageError, StoreFullError } from "../../src/errors.ts";
import { outboardOf } from "../../src/hash/bao.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { BLOB_B } from "../contract/_castore_samples.ts";
import { integerBytes } from "../hash/_bao.ts";
import baoTree from "../vectors/bao/bao_tree.json" with { type: "json" };
import { inTime, pause, WatchedStore } from "./_watched_store.ts";

/** Bytes of one blob's chunks that may be on their way to the store. */
const WRITE_WINDOW = 24 * 1024 * 1024;

async function* piecesOf(bytes: Bytes, length: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += length) yield await bytes.subarray(at, at + length);
}

Deno.test("blobs: chunks are those of other implementations", async () => {
  const blobs = blobsOver(openMemory());
  const zeros = new Uint8Array(3 * 1048576 + 5);
  const rows: [Bytes, number[]][] = [[BLOB_B, [524288, 520192]], [zeros, [...Array(6).fill(524288), 5]]];
  for (const [bytes, lengths] of rows) {
    for (const source of [bytes, piecesOf(bytes, 100_000)]) {
      const { digest } = await blobs.put(source);
      assert.deepEqual((await blobs.chunks(digest))!.map(({ size }) => size), lengths);
    }
  }
});

Deno.test("blobs: a blob of one chunk is just its chunk, another has a list besides", async () => {
  const store = openMemory();
  const blobs = blobsOver(store);
  const { digest } = await blobs.put(pattern(100));
  assert.deepEqual(await Array.fromAsync(store.list("")), ["chunk/" + toHex(digest)]);
  await blobs.put(BLOB_B);
  const keys = await Array.fromAsync(store.list(""));
  assert.deepEqual(keys.map((key) => key.split("/")[0]), ["blob", "chunk", "chunk", "chunk", "outboard"]);
  assert.equal(keys[0], "blob/a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2");
});

/** The 5,000,001 bytes of the vectors of bao-tree, and the 32 digits that its outboard's BLAKE3 begins with. */
const BAO = baoTree.cases.at(-1)!;
const BAO_BYTES = integerBytes(BAO.size);
const BAO_DIGEST = fromHex(BAO.digest);
const BAO_KEY = "outboard/" + BAO.digest;

function sameOutboard(outboard: Bytes | undefined): void {
  assert.deepEqual([outboard?.length, toHex(blake3(outboard!)).slice(0, 32)], BAO.outboard);
}

Deno.test("blobs: the outboard is that of bao-tree, stored by the put, before the list", async () => {
  for (const source of [BAO_BYTES, piecesOf(BAO_BYTES, 70_001)]) {
    const store = new WatchedStore(openMemory());
    const blobs = blobsOver(store);
    let outboardStored = false;
    store.before = async ({ method, key }) => {
      if (method !== "put") return;
      if (key === blobKey(BAO_DIGEST)) assert.ok(outboardStored, "the list came first");
      await pause(1);
      if (key === BAO_KEY) outboardStored = true;
    };
    sameBytes((await blobs.put(source)).digest, BAO_DIGEST);
    const stored = (await getLong(store, BAO_KEY))!;
    assert.deepEqual([...stored.subarray(0, 2)], [1, 4]);
    sameOutboard(stored.subarray(2));
    const gets = store.count("get");
    sameOutboard(await blobs.outboard(BAO_DIGEST));
    assert.equal(store.count("get", "chunk/"), 1, "no more than whether it is a chunk");
    assert.ok(store.count("get") - gets <= 3);
  }
});

Deno.test("blobs: an outboard that is missing or damaged is made anew and kept, once for all who ask", async () => {
  const other = (await outboardOf(integerBytes(BAO.size - 1))).outboard as Bytes;
  const lies = [undefined, new Uint8Array(0), pattern(19_522), concat([fromHex("0104"), other])];
  for (const lie of lies) {
    const index = await indexOver(openMemory()); // what is in packs already is not written again
    await using packed = await openPacked({ bytes: openMemory(), names: openMemory(), index });
    const store = new WatchedStore(packed);
    await blobsOver(store).put(BAO_BYTES);
    await store.delete(BAO_KEY);
    if (lie) await putLong(store, BAO_KEY, lie);
    const blobs = blobsOver(store);
    const puts = store.count("put");
    const outboards = await Promise.all([1, 2, 3].map(() => blobs.outboard(BAO_DIGEST)));
    for (const outboard of outboards) sameOutboard(outboard);
    assert.equal(store.count("put") - puts, 1);
    const chunks = store.count("get", "chunk/");
    sameOutboard(await blobsOver(store).outboard(BAO_DIGEST));
    assert.equal(store.count("get", "chunk/") - chunks, 1, "the blob was read again");
  }
});

Deno.test("blobs: an outboard is given though there is no room to keep it, and none of a damaged blob", async () => {
  const store = new WatchedStore(openMemory());
  await blobsOver(store).put(BAO_BYTES);
  await store.delete(BAO_KEY);
  store.before = ({ method }) => {
    if (method === "put") throw new StoreFullError("full");
  };
  sameOutboard(await blobsOver(store).outboard(BAO_DIGEST));
  store.before = () => {};
  const [first] = (await blobsOver(store).chunks(BAO_DIGEST))!;
  await store.put(chunkKey(first.digest), pattern(first.size));
  await assert.rejects(blobsOver(store).outboard(BAO_DIGEST), DamageError);
  assert.equal(await store.has(outboardKey(BAO_DIGEST)), false);

  const mistaken = new Uint8Array(32).fill(7);
  const { digest } = await blobsOver(store).put(pattern(1_000_000));
  await putLong(store, blobKey(mistaken), (await getLong(store, blobKey(digest)))!);
  await assert.rejects(blobsOver(store).outboard(mistaken), DamageError);
  assert.equal(await store.has(outboardKey(mistaken)), false);
});

Deno.test("blobs: equal chunks of different blobs are stored once", async () => {
  const store = openMemory();
  const blobs = blobsOver(store);
  const bytes = pattern(4_000_000);
  await blobs.put(bytes);
  const before = (await Array.fromAsync(store.list("chunk/"))).length;
  await blobs.put(piecesOf(pattern(4_000_000).fill(1, 3_900_000), 50_000));
  assert.ok((await Array.fromAsync(store.list("chunk/"))).length <= before + 2);
});

Deno.test("blobs: a list of more than 1 MiB is read", async () => {
  const store = openMemory();
  const chunk = pattern(10);
  const digest = new Uint8Array(32).fill(7);
  await store.put(chunkKey(blake3(chunk)), chunk);
  const metas = Array.from({ length: 30_000 }, () => ({ digest: blake3(chunk), size: 10 }));
  await putLong(store, blobKey(digest), encodeChunkList(metas));
  const blobs = blobsOver(store);
  assert.equal((await blobs.chunks(digest))?.length, 30_000);
  const reader = await blobs.open(digest, { range: { start: 299_985, end: 299_995 } });
  assert.equal(reader?.size, 300_000);
  sameBytes(await reader!.bytes(), concat([chunk.subarray(5), chunk.subarray(0, 5)]));
});

Deno.test("blobs: a stream is read at the pace of the store, with a bound on what waits", async () => {
  const store = new WatchedStore(openMemory());
  const blobs = blobsOver(store);
  const gate = Promise.withResolvers<void>();
  store.before = () => gate.promise;
  let given = 0;
  async function* source() {
    for (let i = 0; i < 600; i++) {
      given += 100_000;
      yield await pattern(100_000, i);
    }
  }
  const putting = blobs.put(source());
  for (let last = -1; last !== given;) {
    last = given;
    await pause(20);
  }
  assert.ok(given < WRITE_WINDOW + 3_000_000, `${given} bytes were read while nothing could be stored`);
  assert.ok(store.mostBytes > WRITE_WINDOW / 2, "chunks are stored one by one");
  gate.resolve();
  await inTime(putting);
  assert.ok(store.mostBytes <= WRITE_WINDOW, `${store.mostBytes} bytes were under way`);
});

Deno.test("blobs: chunks are read ahead, with a bound", async () => {
  const store = new WatchedStore(openMemory());
  const blobs = blobsOver(store);
  const bytes = pattern(20_000_000);
  const { digest } = await blobs.put(bytes);
  const count = (await blobs.chunks(digest))!.length;
  store.most = 0;
  store.before = () => pause(1);
  const reader = (await blobs.open(digest))!;
  const gets = store.count("get", "chunk/");
  let first: number | undefined;
  for await (const _ of reader) first ??= store.count("get", "chunk/") - gets;
  assert.ok(
    first! > 3 && first! < count / 2,
    `${first} of ${count} chunks were asked for before the first came`,
  );
  assert.ok(store.most > 3);
});

Deno.test("blobs: readers that wait share what is read ahead, and give it back when they leave", async () => {
  const store = new WatchedStore(openMemory());
  const blobs = blobsOver(store);
  const { digest } = await blobs.put(pattern(20_000_000));
  const chunks = (await blobs.chunks(digest))!;
  const [shared, own] = [64 * 1024 * 1024, 2 * 512 * 1024];
  const start = async () => {
    const before = store.count("get", "chunk/");
    const pieces = (await blobs.open(digest))![Symbol.asyncIterator]();
    await pieces.next();
    return { pieces, asked: store.count("get", "chunk/") - before };
  };
  const readers: Awaited<ReturnType<typeof start>>[] = [];
  for (let i = 0; i < 60; i++) readers.push(await start());
  const asked = readers.reduce((sum, reader) => sum + reader.asked, 0);
  const bytes = asked * 20_000_000 / chunks.length;
  assert.ok(bytes < 1.2 * (shared + 60 * own), `${bytes} bytes for readers that wait`);
  assert.ok(readers[0].asked > 5 && readers[59].asked <= 3, `${readers[0].asked}, then ${readers[59].asked}`);
  for (const { pieces } of readers) await pieces.return!();
  assert.equal((await start()).asked, readers[0].asked);
});

Deno.test("blobs: a range reads the chunks it covers and no others", async () => {
  const store = new WatchedStore(openMemory());
  const blobs = blobsOver(store);
  const bytes = pattern(20_000_000);
  const { digest } = await blobs.put(bytes);
  const chunks = (await blobs.chunks(digest))!;
  const start = chunks[0].size + chunks[1].size;
  const [a, b] = [chunks[2].size, chunks[3].size];
  const rows = [[start, start + a, 1], [start - 1, start + a, 2], [start, start + a + 1, 2], [
    start + 5,
    start + 6,
    1,
  ]];
  rows.push([start + a, start + a + b, 1], [bytes.length - 1, bytes.length + 99, 1]);
  for (const [from, to, count] of rows) {
    const before = store.count("get", "chunk/");
    const reader = await blobs.open(digest, { range: { start: from, end: to } });
    sameBytes(await reader!.bytes(), bytes.slice(from, to));
    assert.equal(store.count("get", "chunk/") - before - 1, count, `${from} to ${to}`); // one asks if it is a chunk itself
  }
});

Deno.test("blobs: a put that fails leaves no blob, ends its source, and nothing goes on behind it", async () => {
  const bytes = pattern(9_000_000);
  const digest = blake3(bytes);
  for (const failing of [1, 5, 20, "blob/"]) {
    for (const streamed of [false, true]) {
      const store = new WatchedStore(openMemory());
      let puts = 0;
      store.before = async ({ method, key }) => {
        const fails = method === "put" && (++puts === failing || key.startsWith(`${failing}`));
        await pause(1);
        if (fails) throw new RangeError("no luck");
      };
      let returned = false;
      const source = async function* () {
        try {
          yield* piecesOf(bytes, 100_000);
        } finally {
          returned = true;
        }
      };
      const blobs = blobsOver(store);
      await assert.rejects(inTime(blobs.put(streamed ? source() : bytes)), /no luck/);
      assert.equal(store.underWay, 0, "puts are still under way");
      assert.equal(returned, streamed);
      store.before = () => {};
      assert.equal(await blobs.has(digest), false);
      sameBytes((await blobs.put(bytes)).digest, digest);
      sameBytes(await (await blobs.open(digest))!.bytes(), bytes);
    }
  }
});

Deno.test("blobs: when the source fails, nothing goes on behind the put", async () => {
  const store = new WatchedStore(openMemory());
  store.before = () => pause(10);
  async function* source() {
    yield* piecesOf(pattern(3_000_000), 100_000);
    throw new RangeError("the source fails");
  }
  await assert.rejects(inTime(blobsOver(store).put(source())), /the source fails/);
  assert.equal(store.underWay, 0);
});

Deno.test("blobs in packs: putting a blob that is there writes nothing", async () => {
  const [bytes, names] = [new WatchedStore(openMemory()), new WatchedStore(openMemory())];
  await using packed = await openPacked({ bytes, names, index: await indexOver(openMemory()) });
  const blobs = blobsOver(packed);
  for (const blob of [pattern(0), pattern(100), pattern(3_000_000)]) {
    await blobs.put(blob);
    const puts = bytes.count("put") + names.count("put");
    await blobs.put(blob);
    await blobs.put(piecesOf(blob, 70_000));
    assert.equal(bytes.count("put") + names.count("put"), puts);
  }
});
