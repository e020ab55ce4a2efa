/** How a remote is asked: how many calls, how many at once, and that no more is under way than was allowed. */
import assert from "node:assert/strict";
import { type Bytes, concat } from "../../../src/bytes/bytes.ts";
import { collect } from "../../../src/bytes/streams.ts";
import { blake3 } from "../../../src/hash/blake3.ts";
import { portableHashes } from "../../../src/hash/hashes.ts";
import { ingestNar } from "../../../src/store/ingest_nar.ts";
import { narLayout } from "../../../src/store/nar_layout.ts";
import { renderNar } from "../../../src/store/render_nar.ts";
import { pattern } from "../../contract/_byte_store_samples.ts";
import { narOf, type Tree } from "../../store/_trees.ts";
import { firnHandlers, openRemote, transportTo, Watched } from "./_remotes.ts";
import { openGrpc } from "../../../src/adapters/grpc/open_grpc.ts";

const DELAY = 20;

/** A folder of folders of small files, all different. */
function manyFiles(count: number): Tree {
  const folders: Record<string, Record<string, Tree>> = {};
  for (let i = 0; i < count; i++) {
    const folder = folders[`folder${i % 20}`] ??= {};
    folder[`file${i}`] = concat([pattern(1000 + i % 3000, i % 250), new Uint8Array([i & 255, i >> 8])]);
  }
  return folders;
}

async function render(nar: AsyncIterable<Bytes>): Promise<Bytes> {
  return await collect(nar);
}

Deno.test("a NAR of 2,000 files goes to and comes from a slow remote in few rounds", async () => {
  const handlers = firnHandlers();
  const nar = await narOf(manyFiles(2000));
  const up = new Watched(DELAY);
  const remote = openGrpc(transportTo(handlers, { watched: up }));
  const { node } = await ingestNar([nar], { ...remote, hashes: portableHashes });
  assert.equal(up.count("BlobService/Put"), 2000);
  assert.equal(up.count("DirectoryService/Put"), 1);
  assert.equal(up.calls.length, 2001);
  assert.ok(up.mostUnderWay > 100 && up.mostUnderWay <= 129, `${up.mostUnderWay} calls at once`);
  assert.ok(up.rounds <= 40, `${up.rounds} rounds`);

  const down = new Watched(DELAY);
  const reading = openGrpc(transportTo(handlers, { watched: down }));
  const layout = await narLayout(node, reading.directories);
  assert.deepEqual(await render(renderNar(layout, reading.blobs)), nar);
  assert.equal(down.count("DirectoryService/Get"), 1);
  assert.equal(down.count("BlobService/Read"), 2000);
  assert.equal(down.calls.length, 2001);
  assert.ok(down.mostUnderWay > 100 && down.mostUnderWay <= 128, `${down.mostUnderWay} calls at once`);
  assert.ok(down.rounds <= 60, `${down.rounds} rounds`);
});

Deno.test("a NAR of many files never has more bytes in flight than the bound", async () => {
  const watched = new Watched(DELAY);
  const bound = 100_000;
  const remote = openGrpc(transportTo(firnHandlers(), { watched }), { maxBytesInFlight: bound });
  await ingestNar([await narOf(manyFiles(600))], { ...remote, hashes: portableHashes });
  const envelopes = 16 * watched.mostUnderWay;
  assert.ok(watched.mostBytesUnderWay <= bound + envelopes, `${watched.mostBytesUnderWay} bytes in flight`);
  assert.ok(watched.mostBytesUnderWay > bound * 0.9, `only ${watched.mostBytesUnderWay} bytes in flight`);
});

Deno.test("calls at once stay below the bound", async () => {
  const watched = new Watched(5);
  const { blobs } = openRemote({ watched, maxCalls: 7 });
  await Promise.all(Array.from({ length: 100 }, (_, i) => blobs.put(pattern(100, i))));
  assert.equal(watched.mostUnderWay, 7);
});

Deno.test("a short blob costs one call, whatever is asked of it", async () => {
  const watched = new Watched();
  const { blobs } = openRemote({ watched });
  const { digest } = await blobs.put(pattern(300_000));
  assert.deepEqual(watched.calls.splice(0), ["BlobService/Put"]);
  await (await blobs.open(digest))!.bytes();
  await (await blobs.open(digest, { range: { start: 10, end: 20 } }))!.bytes();
  assert.equal(await blobs.open(blake3(pattern(1))), undefined);
  assert.deepEqual(watched.calls.splice(0), Array(3).fill("BlobService/Read"));
});

Deno.test("of a long blob a range costs its chunks, and a second one no look", async () => {
  const watched = new Watched();
  const { blobs } = openRemote({ watched });
  const bytes = pattern(8 * 1024 * 1024);
  const { digest } = await blobs.put(bytes);
  assert.deepEqual(watched.calls.splice(0), ["BlobService/Stat", "BlobService/Put"]);
  await blobs.put(bytes);
  assert.deepEqual(watched.calls.splice(0), ["BlobService/Stat"], "a long blob that is there is not sent");
  const range = { start: 5_000_000, end: 5_000_010 };
  assert.deepEqual(await (await blobs.open(digest, { range }))!.bytes(), bytes.slice(range.start, range.end));
  assert.deepEqual(watched.calls.splice(0), ["BlobService/Stat", "BlobService/Read"]);
  await (await blobs.open(digest, { range }))!.bytes();
  assert.deepEqual(watched.calls.splice(0), ["BlobService/Read"]);
  const outboard = (await blobs.outboard(digest))!;
  assert.equal(outboard.length, 64 * (512 - 1));
  assert.deepEqual(watched.calls.splice(0), [], "the outboard came with the first look");
  assert.deepEqual(await (await blobs.open(digest))!.bytes(), bytes);
  const chunks = (await blobs.chunks(digest))!;
  assert.deepEqual(watched.calls.splice(0), Array(chunks.length).fill("BlobService/Read"));
});

Deno.test("the chunks of a long blob are read many at once", async () => {
  const watched = new Watched(DELAY);
  const { blobs } = openRemote({ watched });
  const bytes = pattern(8 * 1024 * 1024);
  const { digest } = await blobs.put(bytes);
  const before = watched.rounds;
  assert.deepEqual(await (await blobs.open(digest))!.bytes(), bytes);
  assert.ok(watched.rounds - before <= 6, `${watched.rounds - before} rounds`);
});

Deno.test("a stream is asked for pieces at the pace of the remote", async () => {
  const bound = 2 * 1024 * 1024;
  let given = 0;
  let taken = 0;
  let most = 0;
  const { blobs } = openRemote({
    maxBytesInFlight: bound,
    wrap: (client) => (request) =>
      client({
        ...request,
        body: async function* () {
          for await (const piece of request.body!) {
            taken += piece.length;
            await new Promise((resolve) => setTimeout(resolve, 1));
            yield piece;
          }
        }(),
      }),
  });
  const source = async function* () {
    for (let i = 0; i < 100; i++) {
      given += 300_000;
      most = Math.max(most, given - taken);
      yield await pattern(300_000, i);
    }
  };
  const { size } = await blobs.put(source());
  assert.equal(size, 30_000_000);
  assert.ok(most <= 4 * 1024 * 1024, `${most} bytes were asked for ahead`);
});

Deno.test("many streams at once stay within the bytes in flight", async () => {
  const watched = new Watched(1);
  const bound = 3 * 1024 * 1024;
  const { blobs } = openRemote({ watched, maxBytesInFlight: bound });
  const contents = Array.from({ length: 12 }, (_, i) => pattern(2_500_000, i));
  const streams = contents.map(async function* (bytes) {
    for (let at = 0; at < bytes.length; at += 100_000) yield await bytes.subarray(at, at + 100_000);
  });
  const stored = await Promise.all(streams.map((stream) => blobs.put(stream)));
  assert.deepEqual(stored.map(({ digest }) => digest), contents.map((bytes) => blake3(bytes)));
});

Deno.test("closures that are open for long do not keep blobs waiting", async () => {
  const { blobs, directories } = openRemote({ maxCalls: 2 });
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const closures = gates.map(async ({ promise }, i) => {
    const slow = async function* () {
      await promise;
      yield { items: [] };
    };
    await directories.putClosure(slow());
    return i;
  });
  await Promise.all(Array.from({ length: 10 }, (_, i) => blobs.put(pattern(10, i))));
  for (const { resolve } of gates) resolve();
  assert.deepEqual(await Promise.all(closures), [0, 1, 2, 3, 4]);
});
