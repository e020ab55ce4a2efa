/** Reading ahead from packs that are far away: several at once, and no more than without when nothing is said. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { blobsOver } from "../../src/castore/blobs_over.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { guarded } from "../../src/castore/guarded_store.ts";
import { openPacked, type Packing } from "../../src/combinators/packed.ts";
import { indexOver } from "../../src/combinators/pack_index.ts";
import { writeNar } from "../../src/nar/writer.ts";
import type { NarToken } from "../../src/nar/parser.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import { servicesOver } from "../../src/store/services.ts";
import { hashOf, pattern, text } from "../contract/_byte_store_samples.ts";

const MIB = 1024 * 1024;

/** A store that takes a moment to give a value, and counts how many it is asked for at once. */
function distant(store: ByteStore): ByteStore & { most: number } {
  let now = 0;
  const far = {
    most: 0,
    put: store.put.bind(store),
    has: store.has.bind(store),
    delete: store.delete.bind(store),
    list: store.list.bind(store),
    update: store.update.bind(store),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    async get(...args: Parameters<ByteStore["get"]>) {
      far.most = Math.max(far.most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now--;
      return await store.get(...args);
    },
  };
  return far;
}

function* smallFiles(): Generator<NarToken, void, void> {
  yield { type: "directory", name: text("") };
  for (let i = 0; i < 700; i++) {
    yield { type: "file", name: text(hashOf(i).slice(8)), executable: false, size: 30_000 };
    yield { type: "data", bytes: pattern(30_000, i) };
    yield { type: "end" };
  }
  yield { type: "end" };
}

/** The most packs asked for at once while something is read of a store that was opened anew. */
async function mostAtOnce(
  packing: Partial<Packing>,
  use: (bytes: ByteStore) => Promise<(bytes: ByteStore) => Promise<void>>,
): Promise<number> {
  const bytes = distant(openMemory());
  const names = openMemory();
  const parts = { bytes, names, packLength: MIB, ...packing };
  let read;
  {
    await using packed = await openPacked({ ...parts, index: await indexOver(names) });
    read = await use(packed);
  }
  bytes.most = 0;
  await using packed = await openPacked({ ...parts, index: await indexOver(names) });
  await read(guarded(packed));
  return bytes.most;
}

const longBlob = async (bytes: ByteStore) => {
  const { digest } = await blobsOver(bytes).put(pattern(24 * MIB));
  return async (bytes: ByteStore) => {
    let length = 0;
    for await (const piece of (await blobsOver(bytes).open(digest))!) length += piece.length;
    assert.equal(length, 24 * MIB);
  };
};

const manyFiles = async (bytes: ByteStore) => {
  const names = openMemory();
  const services = servicesOver({ names, bytes });
  const { node, narSize } = await ingestNar(writeNar(smallFiles()), { ...services, hashes: portableHashes });
  return async (bytes: ByteStore) => {
    const { blobs, directories } = servicesOver({ names, bytes });
    let length = 0;
    for await (const piece of renderNar(await narLayout(node, directories), blobs)) length += piece.length;
    assert.equal(length, narSize);
  };
};

for (const [what, use] of Object.entries({ "a long blob": longBlob, "many short blobs": manyFiles })) {
  Deno.test(`packed: of ${what}, as many packs are read ahead as the store says`, async () => {
    const near = await mostAtOnce({}, use);
    const far = await mostAtOnce({ readAhead: 16 * MIB, packsKept: 32 }, use);
    assert.ok(far >= 2 * near && far >= 8, `${far} at once, and ${near} when nothing is said`);
  });
}
