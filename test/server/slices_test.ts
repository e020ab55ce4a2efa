// Slices of blobs over plain HTTP: those of bao-tree, and what a client verifies against a digest alone.
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { iterate } from "../../src/bytes/streams.ts";
import type { Digest } from "../../src/castore/digest.ts";
import { chunkKey } from "../../src/castore/layout.ts";
import { verifySlice } from "../../src/hash/bao_slice.ts";
import type { BaoRange } from "../../src/hash/bao_tree.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { servicesOver } from "../../src/store/services.ts";
import { WatchedStore } from "../castore/_watched_store.ts";
import { integerBytes } from "../hash/_bao.ts";
import baoTree from "../vectors/bao/bao_tree.json" with { type: "json" };
import { assertRefused, Site, siteTest } from "./_site.ts";

const MIB = 1024 * 1024;
const ABSENT = "0".repeat(64);

function pathOf(digest: Digest, { start, end }: BaoRange): string {
  return `blob/${toHex(digest)}?bao&range=${start}-${end - 1}`;
}

/** What a client makes of an answer: the bytes, the blob's size, and how much came over the wire. */
async function received(answer: Response, digest: Digest, range: BaoRange) {
  assert.equal(answer.status, 200);
  let wire = 0;
  const counted = async function* () {
    for await (const piece of iterate(answer.body!)) {
      wire += piece.length;
      yield piece;
    }
  };
  const pieces = verifySlice(digest, range, counted());
  const parts: Bytes[] = [];
  let next = await pieces.next();
  for (; !next.done; next = await pieces.next()) parts.push(next.value.slice());
  assert.equal(Number(answer.headers.get("content-length")), wire);
  return { bytes: concat(parts), size: next.value, wire };
}

siteTest("slices are those of bao-tree, with the last group", async (site) => {
  let compared = 0;
  for (const { size, digest, slices } of baoTree.cases) {
    await site.services.blobs.put(integerBytes(size));
    for (const [start, end, , , length, hash] of slices) {
      if (Number(start) >= Number(end)) continue;
      const path = `blob/${digest}?bao&range=${start}-${Number(end) - 1}`;
      const answer = await site.get(path);
      const encoded = new Uint8Array(await answer.arrayBuffer());
      assert.deepEqual([encoded.length, toHex(blake3(encoded)).slice(0, 32)], [length, hash], path);
      const head = await site.send("HEAD", path);
      assert.deepEqual([head.status, head.headers.get("content-length")], [200, `${length}`]);
      assert.equal((await head.arrayBuffer()).byteLength, 0);
      compared++;
    }
  }
  assert.ok(compared > 60, `${compared} slices`);
});

siteTest("a slice is verified against the digest alone, its blob's size with it", async (site) => {
  for (const length of [0, 100, 100_000, 3_000_000]) {
    const bytes = integerBytes(length);
    const { digest } = await site.services.blobs.put(bytes);
    const name = `blob/${toHex(digest)}?bao`;
    for (const start of [0, 50, 99_999, 2_500_000, 9_000_000]) {
      const range = { start, end: start + 70_000 };
      const part = await received(await site.get(pathOf(digest, range)), digest, range);
      assert.deepEqual([part.size, part.bytes.length], [length, bytes.slice(start, range.end).length]);
      assert.ok(Buffer.compare(part.bytes, bytes.slice(start, range.end)) === 0);
      const rest = { start, end: Number.MAX_SAFE_INTEGER };
      const found = await received(await site.get(`${name}&range=${start}-`), digest, rest);
      assert.ok(Buffer.compare(found.bytes, bytes.slice(start)) === 0);
    }
    const all = { start: 0, end: Number.MAX_SAFE_INTEGER };
    const whole = await received(await site.get(name), digest, all);
    assert.ok(Buffer.compare(whole.bytes, bytes) === 0);
  }
});

siteTest("headers of a slice, and conditions", async (site) => {
  const bytes = integerBytes(100_000);
  const { digest } = await site.services.blobs.put(bytes);
  const path = pathOf(digest, { start: 0, end: 10 });
  const plain = await site.send("HEAD", `blob/${toHex(digest)}`);
  const answer = await site.get(path, { range: "bytes=0-0" });
  await answer.body?.cancel();
  assert.equal(answer.status, 200, "a Range header is not for slices");
  assert.equal(answer.headers.get("accept-ranges"), "none");
  assert.equal(answer.headers.get("content-type"), "application/x-bao-slice");
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  assert.match(answer.headers.get("cache-control") ?? "", /immutable/);
  const etag = answer.headers.get("etag")!;
  assert.match(etag, /^"[^"]+"$/);
  assert.notEqual(etag, plain.headers.get("etag"));
  assert.equal((await site.get(path, { "if-none-match": etag })).status, 304);
  const other = await site.get(path, { "if-none-match": plain.headers.get("etag")! });
  assert.equal(other.status, 200);
  await other.body?.cancel();
});

siteTest("what is absent is a 404, what is no range a 400", async (site) => {
  const { digest } = await site.services.blobs.put(integerBytes(100));
  for (const method of ["GET", "HEAD"]) {
    assert.equal((await site.send(method, `blob/${ABSENT}?bao`)).status, 404);
  }
  for (const range of ["", "5", "-5", "5-4", "a-b", "0-1,3-4", "bytes=0-1", "1.5-2", "0-9999999999999999"]) {
    const path = `blob/${toHex(digest)}?bao&range=${range}`;
    await assertRefused(await site.get(path), 400, /^Cannot read that range: want FIRST-LAST/);
  }
});

siteTest("a blob that is damaged ends in the middle, and the log says why", async (site) => {
  const { digest } = await site.services.blobs.put(integerBytes(100));
  const failing = {
    ...site.services.blobs,
    open: async (asked: Digest, options?: { range?: BaoRange }) => {
      const blob = (await site.services.blobs.open(asked, options))!;
      return options?.range?.end === 0 ? blob : { ...blob, size: blob.size, [Symbol.asyncIterator]: broken };
    },
    outboard: (asked: Digest) => site.services.blobs.outboard(asked),
  };
  const log: string[] = [];
  await using other = await Site.open("memory:", { blobs: failing, log: (line) => log.push(line) });
  const answer = await other.get(pathOf(digest, { start: 0, end: 10 }));
  assert.equal(answer.status, 200);
  await assert.rejects(answer.arrayBuffer());
  assert.match(log.join("\n"), /failed in the middle of a slice: the disk is gone/);
});

// deno-lint-ignore require-yield
async function* broken(): AsyncGenerator<Bytes> {
  throw await Promise.reject(new Error("the disk is gone"));
}

Deno.test("a slice reads the chunks of its groups, and ends reading when it is left", async () => {
  const store = new WatchedStore(openMemory());
  const services = servicesOver({ names: openMemory(), bytes: store });
  const bytes = integerBytes(20_000_000);
  const { digest } = await services.blobs.put(bytes);
  const chunks = (await services.blobs.chunks(digest))!;
  await using site = await Site.open("memory:", services);
  const reads = () =>
    chunks.filter((c) => store.calls.some((call) => call.key === chunkKey(c.digest))).length;
  store.calls.length = 0;
  const start = chunks[0].size + chunks[1].size;
  const range = { start: start + 20_000, end: start + 30_000 };
  const { bytes: part } = await received(await site.get(pathOf(digest, range)), digest, range);
  assert.deepEqual(part, bytes.slice(range.start, range.end));
  assert.equal(reads(), 2, "one for the range, one for the end");
  store.calls.length = 0;
  const body = (await site.get(`blob/${toHex(digest)}?bao`)).body!.getReader();
  await body.read();
  await body.cancel();
  assert.ok(reads() < chunks.length / 2, `${reads()} of ${chunks.length} chunks`);
  assert.equal(store.underWay, 0);
});

Deno.test("1 MiB of 1 GiB, verified, moves at most 1.1 MiB", async () => {
  await using site = await Site.open("memory:");
  const zeros = async function* () {
    const piece = new Uint8Array(MIB);
    for (let i = 0; i < 1024; i++) yield await piece;
  };
  const { digest, size } = await site.services.blobs.put(zeros());
  assert.equal(size, 1024 * MIB);
  for (const start of [0, 512 * MIB - 12_345, 1023 * MIB]) {
    const range = { start, end: start + MIB };
    const part = await received(await site.get(pathOf(digest, range)), digest, range);
    assert.deepEqual([part.bytes.length, part.size], [MIB, size]);
    assert.ok(part.wire <= 1.1 * MIB, `${part.wire} bytes`);
  }
});
