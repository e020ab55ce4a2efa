/** Compaction: room comes back, nothing else changes, whatever goes on meanwhile and wherever it is cut off. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { toText } from "../../src/bytes/bytes.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { indexOver } from "../../src/combinators/pack_index.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import { DamageError } from "../../src/errors.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pause, WatchedStore } from "../castore/_watched_store.ts";
import { hashOf, pattern } from "../contract/_byte_store_samples.ts";
import { numbers } from "../store/_trees.ts";
import { INDEXES, keysOf, openPacks, packsTest } from "./_packs.ts";

/** Bytes of all values of a store. */
async function bytesIn(store: ByteStore): Promise<number> {
  let sum = 0;
  for (const key of await keysOf(store)) {
    if (/^(pack|value)\//.test(key)) sum += (await store.get(key))!.length;
  }
  return sum;
}

/** Puts groups of values of two kinds, a pack each. */
async function fill(
  store: ByteStore,
  groups: number,
  length = 10_000,
  each = 20,
  first = 0,
): Promise<string[]> {
  const keys: string[] = [];
  for (let group = first; group < first + groups; group++) {
    await Promise.all(Array.from({ length: each }, (_, i) => {
      const key = `${i % 2 ? "chunk" : "dir"}/${hashOf(group * 1000 + i)}`;
      keys.push(key);
      return store.put(key, pattern(length + i, group));
    }));
  }
  return keys;
}

packsTest("packs without values are removed, large ones and small ones and single values", async (packs) => {
  const { store, bytes, names } = packs;
  const large = await fill(store, 3);
  const small = await fill(store, 2, 100, 4, 10);
  await store.put("chunk/alone", pattern(3_000_000));
  for (const key of [...large, ...small, "chunk/alone"]) await store.delete(key);
  assert.deepEqual({ ...await store.use(), packs: 0 }, {
    packs: 0,
    values: 0,
    live: 0,
    dead: 3_600_000 + 570 + 812,
  });
  const { removed, rewritten, written, freed, damaged } = await store.compact();
  assert.deepEqual([removed, rewritten, written, damaged], [11, 0, 0, []]);
  assert.ok(freed >= 3_600_000);
  assert.equal(await bytesIn(bytes) + await bytesIn(names), 0);
  assert.deepEqual(await store.use(), { packs: 0, values: 0, live: 0, dead: 0 });
  assert.deepEqual((await keysOf(names)).filter((key) => key.startsWith("forgotten/")), []);
  await store.put(large[0], pattern(10_000, 0));
  sameBytes(await store.get(large[0]), pattern(10_000, 0));
});

packsTest("of packs that are mostly dead the values move, others stay as they are", async (packs) => {
  const { store, bytes } = packs;
  const keys = await fill(store, 6);
  const kept = new Set(keys.filter((_, i) => i % 20 < 4 || i >= 100)); // a fifth of five groups, all of the sixth
  for (const key of keys) if (!kept.has(key)) await store.delete(key);
  const before = await keysOf(bytes);
  const told: number[] = [];
  const { removed, rewritten, written, freed } = await store.compact({
    onProgress: (packs) => told.push(packs),
  });
  assert.deepEqual([removed, rewritten, written], [0, 10, 2]);
  assert.ok(freed > 700_000);
  assert.deepEqual(told, Array.from({ length: 10 }, (_, i) => i + 1));
  const after = await keysOf(bytes);
  assert.equal(after.length, 4);
  assert.equal(after.filter((key) => before.includes(key)).length, 2);
  assert.deepEqual((await keysOf(store)).sort(), [...kept].sort());
  for (const [i, key] of keys.entries()) {
    const value = await store.get(key);
    if (kept.has(key)) sameBytes(value, pattern(10_000 + i % 20, Math.floor(i / 20)));
    else assert.equal(value, undefined);
  }
  assert.deepEqual(await store.compact(), { removed: 0, rewritten: 0, written: 0, freed: 0, damaged: [] });
  assert.equal(await store.lengthOf(keys[0]), 10_000);
  assert.equal(await store.lengthOf("chunk/none"), undefined);
});

packsTest("packs whose values go to several new packs lose none", async ({ store, bytes }) => {
  const keys = await fill(store, 9, 100_000, 60);
  const kept = keys.filter((_, i) => i % 5 < 2);
  for (const [i, key] of keys.entries()) if (i % 5 >= 2) await store.delete(key);
  const { rewritten, written } = await store.compact();
  assert.deepEqual([rewritten, written], [18, 6]);
  assert.equal((await keysOf(bytes)).length, 6);
  assert.deepEqual((await keysOf(store)).sort(), kept.sort());
  for (const [i, key] of keys.entries()) {
    if (i % 5 < 2) sameBytes(await store.get(key), pattern(100_000 + i % 60, Math.floor(i / 60)));
  }
});

packsTest("a share of dead values below that asked for is left", async ({ store }) => {
  const keys = await fill(store, 1);
  for (const key of keys.slice(0, 6)) await store.delete(key);
  assert.equal((await store.compact()).rewritten, 0);
  assert.equal((await store.compact({ dead: 0.2 })).rewritten, 2);
});

packsTest("reading and writing go on while it works", async ({ store, bytes, names }) => {
  const next = numbers(3);
  const keys = await fill(store, 12, 9000, 16);
  const live = new Map(keys.map((key, i) => [key, pattern(9000 + i % 16, Math.floor(i / 16))]));
  const values = new Map(live);
  for (const key of keys) if (next(4)) live.delete(key);
  for (const key of keys) if (!live.has(key)) await store.delete(key);
  for (const part of [bytes, names]) part.before = () => pause(next(3));
  let over = false;
  const compacting = store.compact({ dead: 0.1 }).finally(() => over = true);
  const isWritten = (key: string) => keys.indexOf(key) % 3 === 0;
  const reader = async (seed: number) => {
    const next = numbers(seed);
    const read = [...live.keys()].filter((key) => !isWritten(key));
    while (!over) {
      const key = read[next(read.length)];
      sameBytes(await store.get(key, { start: 5, end: 400 }), live.get(key)!.subarray(5, 400));
      assert.equal(await store.has(key), true);
      await pause();
    }
  };
  const writer = async () => {
    for (const key of keys.filter(isWritten)) {
      if (over) return;
      const choice = next(3);
      if (choice === 0) {
        await store.put(key, values.get(key)!); // some of them are being removed
        live.set(key, values.get(key)!);
        sameBytes(await store.get(key), values.get(key)!);
      } else if (choice === 1) {
        live.delete(key);
        await store.delete(key);
      }
    }
  };
  await Promise.all([compacting, reader(1), writer()]);
  for (const part of [bytes, names]) part.before = () => {};
  assert.deepEqual((await keysOf(store)).sort(), [...live.keys()].sort());
  for (const [key, value] of live) sameBytes(await store.get(key), value);
  await store.compact({ dead: 0.01, alone: true });
  for (const [key, value] of live) sameBytes(await store.get(key), value);
});

packsTest("a pack put together anew while it is removed is there afterwards", async ({ store, names }) => {
  for (let turn = 0; turn < 30; turn++) {
    await store.put("chunk/a", pattern(100)); // the same pack each time
    await store.delete("chunk/a");
    names.before = () => pause(turn % 3);
    const compacting = store.compact();
    for (let i = 0; i < turn; i++) await pause();
    await store.put("chunk/a", pattern(100));
    await compacting;
    names.before = () => {};
    sameBytes(await store.get("chunk/a"), pattern(100));
    assert.equal((await keysOf(names)).filter((key) => key.startsWith("pack/")).length, 1);
    await store.delete("chunk/a");
    await store.compact();
  }
});

packsTest(
  "who put a pack together while it was being removed finds it afterwards",
  async ({ store, names }) => {
    await store.put("chunk/a", pattern(100));
    await store.delete("chunk/a");
    let removing = false;
    names.before = async ({ method, key }) => {
      if (method !== "delete" || !key.startsWith("pack/") || removing) return;
      removing = true;
      await pause(60);
    };
    const compacting = store.compact();
    while (!removing) await pause();
    await store.put("chunk/a", pattern(100));
    await compacting;
    const anew = await openPacked({ bytes: openMemory(), names, index: await indexOver(openMemory()) });
    sameBytes(await anew.get("chunk/a"), pattern(100));
  },
);

packsTest(
  "who was about to read a pack that went reads the value where it is now",
  async ({ store, bytes, names, index }) => {
    const keys = await fill(store, 1);
    for (const key of keys) if (key !== keys[0]) await store.delete(key);
    const anew = await openPacked({ bytes, names, index }); // which has read no pack
    const compacted = Promise.withResolvers<void>();
    let waiting = false;
    bytes.before = async ({ method }) => {
      if (method !== "get" || waiting) return;
      waiting = true;
      await compacted.promise;
    };
    const reading = anew.get(keys[0]);
    while (!waiting) await pause();
    assert.equal((await store.compact()).rewritten, 1);
    compacted.resolve();
    sameBytes(await reading, pattern(10_000));
  },
);

packsTest("a pack that is noted, and put together anew, is known to an index made anew", async (packs) => {
  const { store, bytes, names } = packs;
  const put = () => Promise.all([store.put("chunk/a", pattern(100)), store.put("chunk/b", pattern(60_000))]);
  await put();
  await store.delete("chunk/a");
  await store.put("chunk/c", pattern(10));
  await store.delete("chunk/c");
  assert.equal((await store.compact()).removed, 1); // and what is forgotten of the other pack is noted
  const [note] = await Array.fromAsync(names.list("forgotten/"));
  assert.match(note, /^forgotten\/1\/pack\/[0-9a-f]{64}$/);
  assert.deepEqual([toText((await names.get("forgotten"))!), toText((await names.get(note))!)], [
    "1",
    "chunk/a",
  ]);
  await store.delete("chunk/b");
  await put();
  const anew = await openPacked({ bytes, names, index: await indexOver(openMemory()) });
  sameBytes(await anew.get("chunk/a"), pattern(100));
  sameBytes(await anew.get("chunk/b"), pattern(60_000));
});

for (const lost of [false, true]) {
  const what = lost ? "the move, too" : "the removal of a pack";
  packsTest(`an index that has lost ${what} when the process ended finds all where it is`, async (packs) => {
    const { store, bytes, names, index } = packs;
    const keys = await fill(store, 2);
    const live = keys.filter((_, i) => i % 20 < 4);
    for (const key of keys) if (!live.includes(key)) await store.delete(key);
    const { move, removePack } = index;
    if (lost) index.move = () => Promise.resolve();
    index.removePack = () => Promise.reject(new Error("cut off"));
    await assert.rejects(store.compact(), /cut off/);
    Object.assign(index, { move, removePack, complete: false });
    assert.ok((await keysOf(bytes)).length < 4, "a pack is gone");
    const anew = await openPacked({ bytes, names, index });
    assert.deepEqual((await keysOf(anew)).sort(), [...live].sort());
    const valueOf = (key: string) =>
      pattern(10_000 + keys.indexOf(key) % 20, Math.floor(keys.indexOf(key) / 20));
    for (const key of live) sameBytes(await anew.get(key), valueOf(key));
    await anew.compact({ alone: true });
    for (const key of live) sameBytes(await anew.get(key), valueOf(key));
    assert.deepEqual((await keysOf(names)).filter((key) => key.startsWith("forgotten/")), []);
  });
}

packsTest("what cannot be read is left, told, and does not end it", async ({ store, bytes }) => {
  const keys = await fill(store, 2);
  for (const [i, key] of keys.entries()) if (i % 20 > 3) await store.delete(key);
  const [pack] = await keysOf(bytes);
  const whole = (await bytes.get(pack))!.slice();
  whole[whole.length - 60] ^= 1;
  await bytes.put(pack, whole);
  const { rewritten, damaged } = await store.compact();
  assert.deepEqual([rewritten, damaged], [3, [pack]]);
  assert.ok(await bytes.has(pack));
  assert.equal((await keysOf(store)).length, 8);
});

packsTest("a pack that is missing stays a DamageError for who reads it", async ({ store, bytes }) => {
  const keys = await fill(store, 1);
  for (const key of keys.slice(4)) await store.delete(key);
  for (const pack of await keysOf(bytes)) await bytes.delete(pack);
  await store.compact();
  await assert.rejects(store.get(keys[0]), DamageError);
});

packsTest("the signal ends it between two packs", async ({ store }) => {
  const keys = await fill(store, 4);
  for (const key of keys.slice(20)) await store.delete(key);
  const aborting = new AbortController();
  await assert.rejects(
    store.compact({ signal: aborting.signal, onProgress: () => aborting.abort(new Error("enough")) }),
    /enough/,
  );
  assert.equal((await keysOf(store)).length, 20);
  assert.equal((await store.compact()).removed, 5);
});

packsTest(
  "packs that a crash left without an entry go when nobody else writes",
  async ({ store, names, index }) => {
    const { add } = index;
    index.add = () => Promise.reject(new Error("cut off"));
    await assert.rejects(store.put("chunk/lost", pattern(100)), /cut off/);
    index.add = add;
    await store.put("chunk/kept", pattern(100, 1));
    assert.equal((await store.compact()).removed, 0);
    assert.equal((await store.compact({ alone: true })).removed, 1);
    assert.equal((await keysOf(names)).filter((key) => key.startsWith("pack/")).length, 1);
    sameBytes(await store.get("chunk/kept"), pattern(100, 1));
  },
);

/** Counts writes down and then fails everything. */
function mortal(store: ByteStore, life: { writes: number }): ByteStore {
  const killed = () => Promise.reject(new Error("killed"));
  const write = <T>(work: () => Promise<T>) => life.writes > 0 && life.writes-- > 0 ? work() : killed();
  return {
    get: (key, range) => life.writes > 0 ? store.get(key, range) : killed(),
    has: (key) => life.writes > 0 ? store.has(key) : killed(),
    put: (key, value) => write(() => store.put(key, value)),
    delete: (key) => write(() => store.delete(key)),
    update: (key, change) => write(() => store.update(key, change)),
    list: (prefix) => store.list(prefix),
    [Symbol.asyncDispose]: async () => {},
  };
}

Deno.test("packed: killed after any write of a compaction, nothing is lost and nothing half comes back", async () => {
  const live = new Map<string, Uint8Array<ArrayBuffer>>();
  const dead = new Set<string>();
  const build = async () => {
    const stores = { bytes: openMemory(), names: openMemory(), entries: openMemory() };
    const store = await openPacked({ ...stores, index: await indexOver(stores.entries) });
    const keys = await fill(store, 3, 4000, 30);
    for (const [i, key] of keys.entries()) {
      if (i % 5 === 0 || i >= 75) live.set(key, pattern(4000 + i % 30, Math.floor(i / 30)));
      else dead.add(key);
    }
    await store.put("chunk/alone", pattern(3_000_000));
    dead.add("chunk/alone");
    for (const key of dead) await store.delete(key);
    // Some that are put again lie in two packs, in one of them dead.
    for (const [key, value] of [...live].slice(0, 3)) {
      await store.delete(key);
      await store.put(key, value);
    }
    return stores;
  };
  const compact = async (stores: Awaited<ReturnType<typeof build>>, life: { writes: number }) => {
    const { bytes, names, entries } = stores;
    const index = await indexOver(mortal(entries, life));
    const store = await openPacked({ bytes: mortal(bytes, life), names: mortal(names, life), index });
    await store.compact({ dead: 0.3 });
  };
  const life = { writes: 1_000_000 };
  await compact(await build(), life);
  const writes = 1_000_000 - life.writes;
  assert.ok(writes > 20, `${writes}`);
  for (let after = 1; after < writes; after++) {
    for (const kept of [true, false]) {
      const stores = await build();
      const { bytes, names } = stores;
      const size = await bytesIn(bytes) + await bytesIn(names);
      await assert.rejects(compact(stores, { writes: after }), /killed/);
      const entries = kept ? stores.entries : openMemory();
      // An index that is kept is completed, as one that was not closed is; and one is made from nothing.
      const index = await indexOver(entries);
      index.complete && await entries.delete("index-complete");
      const store = await openPacked({ bytes, names, index: await indexOver(entries) });
      const what = `after ${after} of ${writes}, index kept: ${kept}`;
      for (const [key, value] of live) sameBytes(await store.get(key), value);
      const back = [];
      for (const key of dead) if (await store.has(key)) back.push(key);
      const removed = await bytesIn(bytes) + await bytesIn(names) < size;
      if (kept || removed) assert.deepEqual(back, [], what);
      else assert.ok(back.length === 0 || back.length === dead.size, `${what}: ${back.length}`);
      for (const key of back) assert.ok(await store.get(key), what);
      for (const key of back) await store.delete(key);
      await store.compact({ dead: 0.3, alone: true });
      for (const [key, value] of live) sameBytes(await store.get(key), value);
      assert.ok(await bytesIn(bytes) + await bytesIn(names) < size - 3_000_000, what);
      for (const key of dead) assert.equal(await store.has(key), false, what);
    }
  }
});

for (const [kind, makeIndex] of Object.entries(INDEXES)) {
  Deno.test(`packed with ${kind}: what was deleted and compacted stays so when the index is made anew`, async () => {
    const { store, bytes, names } = await openPacks(makeIndex);
    const keys = await fill(store, 4);
    // The first group loses a few, the others most: it stays as it is, with dead values in it.
    for (const [i, key] of keys.entries()) if (i < 20 ? i < 3 : i % 20 > 3) await store.delete(key);
    await store.compact();
    const left = await keysOf(store);
    const index = await makeIndex();
    const anew = await openPacked({ bytes: new WatchedStore(bytes), names, index });
    assert.deepEqual(await keysOf(anew), left);
    for (const key of left) assert.ok(await anew.get(key));
    assert.ok((await anew.use()).dead > 0, "it knows what is dead");
    assert.ok((await anew.compact({ dead: 0.01 })).rewritten > 0);
    assert.deepEqual(await keysOf(anew), left);
    assert.equal((await anew.use()).dead, 0);
    await Promise.all([store[Symbol.asyncDispose](), anew[Symbol.asyncDispose]()]);
  });
}
