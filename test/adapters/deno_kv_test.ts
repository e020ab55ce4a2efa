import assert from "node:assert/strict";
import { type DenoKvStore, openDenoKv } from "../../src/adapters/deno_kv/deno_kv_store.ts";
import { DamageError } from "../../src/errors.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { testContract } from "../contract/run.ts";
import { mounting, permissions, testNeeding } from "../needs.ts";
import { checkFullDisk } from "./_small_disk.ts";

testContract("deno kv", byteStoreContract, async () => {
  const directory = await Deno.makeTempDir();
  const kv = await Deno.openKv(`${directory}/kv`);
  return closing(openDenoKv(kv), async () => {
    kv.close();
    await Deno.remove(directory, { recursive: true });
  });
}, [permissions]);

function closing(store: DenoKvStore, close: () => Promise<void>): DenoKvStore {
  store[Symbol.asyncDispose] = close;
  return store;
}

/** Runs a test on a database in memory. */
function kvTest(name: string, test: (kv: Deno.Kv) => Promise<void>): void {
  Deno.test(`deno kv: ${name}`, async () => {
    using kv = await Deno.openKv(":memory:");
    await test(kv);
  });
}

async function entriesAt(kv: Deno.Kv, ...prefix: string[]): Promise<Deno.KvEntry<unknown>[]> {
  return await Array.fromAsync(kv.list({ prefix }));
}

kvTest("a long value is kept in pieces of 60 KiB, and goes with all of them", async (kv) => {
  const store = openDenoKv(kv);
  await store.put("short", new Uint8Array(60 * 1024));
  assert.equal((await entriesAt(kv, "firn", "piece")).length, 0);
  const long = new Uint8Array(130 * 1024).fill(1);
  const replace: (() => Promise<unknown>)[] = [
    () => store.put("long", new Uint8Array(5)),
    () => store.put("long", new Uint8Array(130 * 1024)),
    () => store.delete("long"),
    () => store.update("long", () => new Uint8Array(130 * 1024)),
    () => store.update("long", () => new Uint8Array(5)),
    () => store.update("long", () => undefined),
  ];
  for (const [i, step] of replace.entries()) {
    await store.put("long", long);
    assert.equal((await entriesAt(kv, "firn", "piece")).length, 3, `pieces before step ${i}`);
    await step();
    const left = (await store.get("long"))?.length === 130 * 1024 ? 3 : 0;
    assert.equal((await entriesAt(kv, "firn", "piece")).length, left, `pieces after step ${i}`);
    assert.equal((await entriesAt(kv, "firn", "draft")).length, 0, `drafts after step ${i}`);
  }
});

kvTest("stores of different prefixes do not see each other", async (kv) => {
  const names = openDenoKv(kv, { prefix: "names" });
  const bytes = openDenoKv(kv, { prefix: "bytes" });
  await Promise.all([names.put("a", new Uint8Array(1)), bytes.put("b", new Uint8Array(100_000))]);
  assert.deepEqual(await Array.fromAsync(names.list("")), ["a"]);
  assert.deepEqual(await Array.fromAsync(bytes.list("")), ["b"]);
  assert.equal(await names.sweepOrphans(0), 0);
  assert.equal((await bytes.get("b"))?.length, 100_000);
});

kvTest("values put at once share atomics within the limits of Deno KV", async (kv) => {
  let commits = 0;
  const counting = new Proxy(kv, {
    get(target, name) {
      if (name === "atomic") commits++;
      const member = target[name as keyof Deno.Kv] as unknown;
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  const store = openDenoKv(counting, { mostChecks: 100 });
  const keys = Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(512, "k"));
  await Promise.all(keys.map((key) => store.put(key, new Uint8Array(100))));
  assert.equal(commits, 10);
  commits = 0;
  await Promise.all(keys.slice(0, 120).map((key) => store.put(key, new Uint8Array(60 * 1024))));
  assert.ok(commits >= 10 && commits <= 30, `${commits} atomics for 120 values of 60 KiB`);
});

kvTest(
  "pieces that a dead writer left are swept once they are old, and a late writer starts again",
  async (kv) => {
    const store = openDenoKv(kv);
    await store.put("kept", new Uint8Array(200_000).fill(7));
    // A writer stops between its pieces and its head.
    const stalled = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    let atomics = 0;
    const stalling = new Proxy(kv, {
      get(target, name) {
        if (name !== "atomic") return (target[name as keyof Deno.Kv] as () => unknown).bind(target);
        return () => {
          const atomic = target.atomic();
          if (++atomics !== 1) return atomic;
          // The first atomic of a replacement is the one that publishes it.
          const commit = atomic.commit.bind(atomic);
          atomic.commit = async () => {
            reached.resolve();
            await stalled.promise;
            return await commit();
          };
          return atomic;
        };
      },
    });
    const late = openDenoKv(stalling).put("late", new Uint8Array(200_000).fill(8));
    await reached.promise;
    assert.equal((await entriesAt(kv, "firn", "piece")).length, 8);
    assert.equal(await store.get("late"), undefined);
    assert.equal(await store.sweepOrphans(), 0);
    await new Promise((resolve) => setTimeout(resolve, 2));
    assert.equal(await store.sweepOrphans(0), 1);
    assert.equal((await entriesAt(kv, "firn", "piece")).length, 4);
    stalled.resolve();
    await late;
    assert.deepEqual(await store.get("late"), new Uint8Array(200_000).fill(8));
    assert.deepEqual(await store.get("kept"), new Uint8Array(200_000).fill(7));
    assert.equal((await entriesAt(kv, "firn", "draft")).length, 0);
  },
);

kvTest("a value that has lost a piece is damage, not absence", async (kv) => {
  const store = openDenoKv(kv);
  await store.put("long", new Uint8Array(200_000));
  const [, second] = await entriesAt(kv, "firn", "piece");
  await kv.delete(second.key);
  await assert.rejects(store.get("long"), DamageError);
  assert.equal((await store.get("long", { start: 0, end: 60 * 1024 }))?.length, 60 * 1024);
});

kvTest("two openers of one database may update and replace the same value", async (kv) => {
  const stores = [openDenoKv(kv), openDenoKv(kv)];
  const grow = (current?: Uint8Array) => new Uint8Array((current?.length ?? 0) + 10_000);
  await Promise.all(Array.from({ length: 20 }, (_, i) => stores[i % 2].update("value", grow)));
  assert.equal((await stores[0].get("value"))?.length, 200_000);
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => stores[i % 2].put("value", new Uint8Array(i * 9000))),
  );
  assert.equal((await entriesAt(kv, "firn", "draft")).length, 0);
  const length = (await stores[0].get("value"))!.length;
  const pieces = length > 60 * 1024 ? Math.ceil(length / (60 * 1024)) : 0;
  assert.equal((await entriesAt(kv, "firn", "piece")).length, pieces);
});

testNeeding(mounting)("deno kv: a full disk is a StoreFullError, and nothing is half visible", async () => {
  await checkFullDisk(async (directory) => {
    const kv = await Deno.openKv(`${directory}/kv`);
    return closing(openDenoKv(kv), () => Promise.resolve(kv.close()));
  });
});
