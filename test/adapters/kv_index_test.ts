/** The index of packs in Deno KV, and a packed store that is all in one: what several processes make of it at once. */
import assert from "node:assert/strict";
import { type KvIndexOptions, openKvIndex } from "../../src/adapters/deno_kv/kv_index.ts";
import { KV_PACKING, KvPacks } from "../../src/adapters/deno_kv/kv_packs.ts";
import { openDenoKv } from "../../src/adapters/deno_kv/deno_kv_store.ts";
import type { KvLike } from "../../src/adapters/deno_kv/records.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { openPacked, type PackedStore } from "../../src/combinators/packed.ts";
import { LimitError, StoreVersionError } from "../../src/errors.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { hashOf, pattern } from "../contract/_byte_store_samples.ts";
import { packIndexContract } from "../contract/pack_index.ts";
import { packedContract } from "../contract/packed.ts";
import { testContract } from "../contract/run.ts";

testContract("index in deno kv", packIndexContract, async () => {
  const kv = await Deno.openKv(":memory:");
  return closing(await openKvIndex(kv), kv);
});

testContract("index in deno kv, packs elsewhere", packIndexContract, async () => {
  const kv = await Deno.openKv(":memory:");
  return closing(await openKvIndex(kv, { packs: openMemory() }), kv);
});

testContract("packed in deno kv", packedContract, async () => {
  const kv = await Deno.openKv(":memory:");
  return closing(await openAll(kv), kv);
});

testContract("packed in deno kv, packs elsewhere", packedContract, async () => {
  const kv = await Deno.openKv(":memory:");
  return closing(await openAll(kv, { packs: openMemory() }), kv);
});

function closing<T extends AsyncDisposable>(subject: T, kv: Deno.Kv): T {
  const dispose = subject[Symbol.asyncDispose].bind(subject);
  subject[Symbol.asyncDispose] = async () => {
    await dispose();
    kv.close();
  };
  return subject;
}

async function openAll(kv: KvLike, options: KvIndexOptions = {}): Promise<PackedStore> {
  const index = await openKvIndex(kv, options);
  const packing = options.packs ? {} : KV_PACKING;
  return await openPacked({ bytes: index.bytes, names: openDenoKv(kv), index, ...packing });
}

/** Runs a test on a database in memory. */
function kvTest(name: string, test: (kv: Deno.Kv) => Promise<void>): void {
  Deno.test(`index in deno kv: ${name}`, async () => {
    using kv = await Deno.openKv(":memory:");
    await test(kv);
  });
}

/** The same database, with what is asked of it noted. */
function counting(kv: Deno.Kv, asked: string[]): KvLike {
  return {
    get: (key, options) => (asked.push("get"), kv.get(key, options)),
    getMany: (keys, options) => (asked.push("getMany"), kv.getMany(keys, options)),
    list: (selector, options) => (asked.push("list"), kv.list(selector, options)),
    atomic: () => {
      const atomic = kv.atomic();
      const commit = atomic.commit.bind(atomic);
      atomic.commit = () => (asked.push("commit"), commit());
      return atomic;
    },
  };
}

kvTest("opening a store that is there is one read, and a value in it three more", async (kv) => {
  await using first = await openAll(kv);
  await first.put("chunk/a", pattern(300_000));
  const asked: string[] = [];
  await using second = await openAll(counting(kv, asked));
  assert.deepEqual(asked, ["get"]);
  sameBytes(
    await second.get("chunk/a", { start: 100, end: 200_000 }),
    pattern(300_000).subarray(100, 200_000),
  );
  assert.deepEqual(asked.splice(0), ["get", "getMany", "list"]);
});

kvTest("values put at once are looked up ten to a read, and written with their pack", async (kv) => {
  const asked: string[] = [];
  await using store = await openAll(counting(kv, asked));
  asked.length = 0;
  const keys = Array.from({ length: 100 }, (_, i) => `chunk/${hashOf(i)}`);
  await Promise.all(keys.map((key, i) => store.put(key, pattern(5000, i))));
  const packs = (await Array.fromAsync(kv.list({ prefix: ["firn", "packed"] }))).length;
  assert.ok(packs < 10, `${packs} packs`); // one, unless the machine was too busy to add to it in time
  assert.deepEqual(asked.splice(0).sort(), [...Array(packs).fill("commit"), ...Array(10).fill("getMany")]);
  await Promise.all(keys.map((key) => store.put(key, pattern(1))));
  assert.deepEqual(asked, Array(10).fill("getMany"));
  for (const [i, key] of keys.entries()) sameBytes(await store.get(key), pattern(5000, i));
});

kvTest(
  "more entries than an atomic holds are in several, and the pack is held when all are there",
  async (kv) => {
    const index = await openKvIndex(kv);
    const entries = Array.from(
      { length: 5000 },
      (_, i) => ({ key: `chunk/${hashOf(i)}`, offset: i, length: 1 }),
    );
    const pack = `pack/${hashOf(1)}`;
    const asked: string[] = [];
    const cut = counting(kv, asked);
    const dying: KvLike = {
      ...cut,
      atomic: () => {
        const atomic = cut.atomic();
        const commit = atomic.commit;
        atomic.commit = () => asked.length === 3 ? Promise.reject(new Error("killed")) : commit();
        return atomic;
      },
    };
    await assert.rejects(
      (await openKvIndex(dying)).addWith!(pack, false, entries, pattern(600_000)),
      /killed/,
    );
    assert.equal(await index.hasPack(pack), false);
    sameBytes(await index.bytes.get(pack), pattern(600_000));
    await index.addWith!(pack, false, entries, pattern(600_000));
    assert.equal(await index.hasPack(pack), true);
    for (const i of [0, 2500, 4999]) assert.equal((await index.get(entries[i].key))?.offset, i);
  },
);

kvTest("two openers add, delete and look up at the same time", async (kv) => {
  await using one = await openAll(kv);
  await using other = await openAll(kv);
  const keys = Array.from({ length: 300 }, (_, i) => `chunk/${hashOf(i)}`);
  const values = keys.map((_, i) => pattern(2000 + i, i));
  await Promise.all(keys.flatMap((key, i) => [one.put(key, values[i]), other.put(key, values[i])]));
  for (const store of [one, other]) {
    for (const [i, key] of keys.entries()) sameBytes(await store.get(key), values[i]);
  }
  await Promise.all(keys.flatMap((key, i) => i % 2 ? [one.delete(key), other.delete(key)] : []));
  for (const store of [one, other]) {
    for (const [i, key] of keys.entries()) assert.equal(await store.has(key), i % 2 === 0);
  }
  await Promise.all(keys.map((key, i) => (i % 3 ? one : other).put(key, values[i])));
  await using third = await openAll(kv);
  for (const [i, key] of keys.entries()) sameBytes(await third.get(key), values[i]);
});

kvTest("a value deleted elsewhere is stored again, though its pack was read here", async (kv) => {
  await using one = await openAll(kv);
  await using other = await openAll(kv);
  await Promise.all([one.put("chunk/a", pattern(100)), one.put("chunk/b", pattern(100, 1))]);
  sameBytes(await other.get("chunk/a"), pattern(100));
  await one.delete("chunk/a");
  assert.equal(await other.has("chunk/a"), false);
  await other.put("chunk/a", pattern(100));
  assert.equal(await one.has("chunk/a"), true);
  await using third = await openAll(kv);
  sameBytes(await third.get("chunk/a"), pattern(100));
});

kvTest("a store of another form, or with its packs elsewhere, is not opened", async (kv) => {
  await (await openAll(kv))[Symbol.asyncDispose]();
  await assert.rejects(openKvIndex(kv, { packs: openMemory() }), StoreVersionError);
  await kv.set(["firn", "format"], "1 elsewhere");
  await assert.rejects(openKvIndex(kv), /say where with --packs/);
  await kv.set(["firn", "format"], "2");
  await assert.rejects(openKvIndex(kv), StoreVersionError);
});

kvTest("small packs may be longer than a value of Deno KV, and are removed whole", async (kv) => {
  const index = await openKvIndex(kv, { packs: openMemory() });
  const names = openDenoKv(kv);
  for (const length of [100, 61_440, 61_441, 512 * 1024]) {
    const pack = `pack/${length}`;
    const entries = [{ key: `chunk/${length}`, offset: 0, length }];
    await index.addWith!(pack, true, entries, pattern(length));
    await index.addWith!(pack, true, entries, pattern(length));
    sameBytes(await names.get(pack), pattern(length));
    await index.delete(entries[0].key);
    await index.removePack(pack);
    assert.equal(await names.get(pack), undefined);
  }
  for (const kind of ["value", "piece", "packed", "deleted", "index"]) {
    assert.deepEqual(await Array.fromAsync(kv.list({ prefix: ["firn", kind] })), [], kind);
  }
  await assert.rejects(index.addWith!("pack/long", true, [], pattern(1 << 20)), LimitError);
});

kvTest("of two that open a new store at once in different forms, one is refused", async (kv) => {
  const opened = await Promise.allSettled([openAll(kv), openAll(kv, { packs: openMemory() })]);
  assert.deepEqual(opened.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  const [failed] = opened.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
  assert.ok(failed.reason instanceof StoreVersionError);
});

kvTest("packs in pieces: long and short, whole and in part, listed and deleted", async (kv) => {
  const packs = new KvPacks(kv, "firn");
  const long = pattern(4 << 20);
  await packs.put("pack/long", long);
  await packs.put("pack/short", pattern(10));
  await packs.put("pack/again", pattern(61_440));
  await packs.put("pack/again", pattern(61_440));
  sameBytes(await packs.get("pack/long"), long);
  for (const [start, end] of [[0, 1], [61_439, 61_441], [61_440, 122_880], [1_000_000, 3_000_001], [5, 5]]) {
    sameBytes(await packs.get("pack/long", { start, end }), long.subarray(start, end));
  }
  assert.equal(await packs.get("pack/none"), undefined);
  assert.deepEqual(await Array.fromAsync(packs.list("pack/")), ["pack/again", "pack/long", "pack/short"]);
  await kv.delete(["firn", "pack", "pack/long", 30]);
  assert.equal(await packs.get("pack/long"), undefined);
  await packs.delete("pack/long");
  await packs.delete("pack/long");
  assert.deepEqual(await Array.fromAsync(packs.list("pack/")), ["pack/again", "pack/short"]);
  assert.equal((await Array.fromAsync(kv.list({ prefix: ["firn", "pack"] }))).length, 2);
});
