/** The contracts of what is kept in Deno KV, over a real server: its limits are narrower than those of a file. */
import assert from "node:assert/strict";
import { openDenoKv } from "../../src/adapters/deno_kv/deno_kv_store.ts";
import { openKvIndex } from "../../src/adapters/deno_kv/kv_index.ts";
import { KV_PACKING } from "../../src/adapters/deno_kv/kv_packs.ts";
import { type KvOperation, watchKv } from "../../src/adapters/deno_kv/watched_kv.ts";
import { openPacked, type PackedStore } from "../../src/combinators/packed.ts";
import { RemoteError } from "../../src/errors.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { hashOf, pattern } from "../contract/_byte_store_samples.ts";
import { packedContract } from "../contract/packed.ts";
import { testContract } from "../contract/run.ts";
import { testNeeding } from "../needs.ts";
import { denokv, DenokvServer } from "./_denokv.ts";

testContract("deno kv server", byteStoreContract, () => serving((kv) => Promise.resolve(openDenoKv(kv))), [
  denokv,
]);
testContract("packed on a deno kv server", packedContract, () => serving(openAll), [denokv]);

async function openAll(kv: Deno.Kv): Promise<PackedStore> {
  const index = await openKvIndex(kv);
  return await openPacked({ bytes: index.bytes, names: openDenoKv(kv), index, ...KV_PACKING });
}

/** What is opened in an empty database of a server, which ends with it. */
async function serving<T extends AsyncDisposable>(open: (kv: Deno.Kv) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  const server = await DenokvServer.start(`${folder}/kv`);
  const kv = await Deno.openKv(server.url);
  const subject = await open(kv);
  const dispose = subject[Symbol.asyncDispose].bind(subject);
  subject[Symbol.asyncDispose] = async () => {
    await dispose();
    kv.close();
    await server.kill();
    await Deno.remove(folder, { recursive: true });
  };
  return subject;
}

const test = testNeeding(denokv);

test("deno kv server: packs of any number of values stay within its limits", async () => {
  await using store = await serving(openAll);
  for (
    const [count, length] of [[5000, 1], [900, 700], [300, 2000], [11, 60_000], [5, 330_000], [1, 4 << 20]]
  ) {
    const keys = Array.from({ length: count }, (_, i) => `chunk/${hashOf(10_000 * length + i)}`);
    await Promise.all(keys.map((key, i) => store.put(key, pattern(length, i))));
    for (const i of [0, count >> 1, count - 1]) sameBytes(await store.get(keys[i]), pattern(length, i));
  }
  const long = Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(488, "k"));
  await Promise.all(long.map((key, i) => store.put(key, pattern(2000, i))));
  for (const [i, key] of long.entries()) sameBytes(await store.get(key), pattern(2000, i));
  assert.equal((await Array.fromAsync(store.list("chunk/"))).length, 6217);
});

test("deno kv server: an operation it does not answer is given up, more fail at once, and it is told of them", async () => {
  const folder = await Deno.makeTempDir();
  await using server = await DenokvServer.start(`${folder}/kv`);
  using kv = await Deno.openKv(server.url);
  const told: KvOperation[] = [];
  const onOperation = (operation: KvOperation) => told.push(operation);
  const watched = watchKv(kv, { server: "kv+http://far", timeoutMs: 300, onOperation });
  const store = openDenoKv(watched);
  await store.put("a", pattern(10));
  assert.deepEqual(told.splice(0).map(({ operation, ok }) => `${operation} ${ok}`), ["commit true"]);
  server.stop();
  const reads = Array.from({ length: 20 }, () => watched.get(["firn", "value", "a"]));
  for (const read of await Promise.allSettled([...reads, store.put("b", pattern(10))])) {
    assert.equal(read.status, "rejected");
    assert.ok(read.reason instanceof RemoteError, read.reason);
    assert.equal(read.reason.message, "Cannot reach the store kv+http://far: it does not answer");
  }
  assert.ok(told.length >= 21 && told.every(({ ok }) => !ok));
  told.length = 0;
  await assert.rejects(store.get("a"), RemoteError);
  assert.ok(told[0].ms < 300, "it is not waited for once more");
  server.resume();
  for (;;) {
    try {
      sameBytes(await store.get("a"), pattern(10));
      break;
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  sameBytes(await store.get("b"), pattern(10)); // which was given up, not undone
  await Deno.remove(folder, { recursive: true });
});
