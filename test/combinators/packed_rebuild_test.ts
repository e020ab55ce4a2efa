/** The index made anew from the packs, what a crash leaves, and what damaged packs become. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openSqliteIndex } from "../../src/adapters/sqlite/sqlite_index.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import type { PackIndex } from "../../src/combinators/pack_index.ts";
import { Forgotten } from "../../src/combinators/forgotten.ts";
import { openPacked, type PackedParts } from "../../src/combinators/packed.ts";
import { rebuildIndex } from "../../src/combinators/rebuild_index.ts";
import { DamageError } from "../../src/errors.ts";
import { WatchedStore } from "../castore/_watched_store.ts";
import { hashOf, pattern } from "../contract/_byte_store_samples.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { INDEXES, keysOf, openPacks } from "./_packs.ts";

const newIndex = () => openSqliteIndex(new DatabaseSync(":memory:"));

const rebuild = async (parts: PackedParts) => await rebuildIndex(parts, await Forgotten.open(parts.names));

/** Everything an index says. */
async function tableOf(index: PackIndex): Promise<Map<string, unknown>> {
  const table = new Map<string, unknown>();
  for await (const key of index.list("")) table.set(key, await index.get(key));
  return table;
}

/** Values of all kinds: in small packs, in large ones, alone. */
async function fill(store: ByteStore): Promise<Map<string, number>> {
  const lengths = new Map<string, number>();
  for (
    const group of [[10, 0, 3000], [60_000, 1, 70_000, 2_000_000, 2_097_152, 1_500_000], [2_097_153, 4 << 20]]
  ) {
    await Promise.all(group.map((length) => {
      const key = `chunk/${hashOf(lengths.size)}`;
      lengths.set(key, length);
      return store.put(key, pattern(length));
    }));
  }
  return lengths;
}

for (const [kind, makeIndex] of Object.entries(INDEXES)) {
  Deno.test(`packed with ${kind}: an index made anew is the one it was`, async () => {
    const { store, bytes, names, index } = await openPacks(makeIndex);
    const lengths = await fill(store);
    const old = await tableOf(index);
    assert.deepEqual([...old.keys()], [...lengths.keys()].sort());
    const other = await makeIndex();
    await rebuild({ bytes, names, index: other });
    assert.equal(other.complete, true);
    assert.deepEqual(await tableOf(other), old);
    await rebuild({ bytes, names, index: other });
    assert.deepEqual(await tableOf(other), old);
    const again = await openPacked({ bytes, names, index: other });
    for (const [key, length] of lengths) sameBytes(await again.get(key), pattern(length));
    await Promise.all([store[Symbol.asyncDispose](), again[Symbol.asyncDispose]()]);
  });

  Deno.test(`packed with ${kind}: the index of a new store is complete, and says what is made anew`, async () => {
    const { bytes, names, store, index } = await openPacks(makeIndex);
    assert.equal(index.complete, true);
    for (let i = 0; i < 3; i++) await store.put(`k${i}`, pattern(10, i));
    const told: [number, number][] = [];
    const other = await makeIndex();
    await rebuild({ bytes, names, index: other, onRebuild: (...counts) => told.push(counts) });
    assert.deepEqual(told.at(-1), [3, 3]);
    await Promise.all([store[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]);
  });
}

Deno.test("packed: what a crash left between pack and index is put again, or found", async () => {
  const [bytes, names] = [new WatchedStore(openMemory()), new WatchedStore(openMemory())];
  const index = newIndex();
  const store = await openPacked({ bytes, names, index });
  await store.put("before", pattern(100_000, 1));
  const add = index.add;
  index.add = () => new Promise(() => {}); // the process is no more when the pack is written
  void store.put("a", pattern(100_000, 2));
  void store.put("b", pattern(5, 3));
  while (bytes.count("put") < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  index.add = add;

  const later = await openPacked({ bytes, names, index });
  sameBytes(await later.get("before"), pattern(100_000, 1));
  assert.equal(await later.has("a"), false);
  await later.put("a", pattern(100_000, 2));
  sameBytes(await later.get("a"), pattern(100_000, 2));
  assert.equal(await later.has("b"), false);

  await using anew = await openPacked({ bytes, names, index: newIndex() });
  assert.deepEqual(await keysOf(anew), ["a", "b", "before"]);
  sameBytes(await anew.get("b"), pattern(5, 3));
  await later[Symbol.asyncDispose]();
});

Deno.test("packed: making the index that is interrupted begins anew when it is opened again", async () => {
  const { store, bytes, names } = await openPacks();
  const lengths = await fill(store);
  const index = newIndex();
  let gets = 0;
  bytes.before = ({ method }) => {
    if (method === "get" && ++gets === 2) throw new Error("no luck");
  };
  await assert.rejects(openPacked({ bytes, names, index }), /no luck/);
  assert.equal(index.complete, false);
  bytes.before = () => {};
  await using anew = await openPacked({ bytes, names, index });
  assert.deepEqual(await keysOf(anew), [...lengths.keys()].sort());
  await store[Symbol.asyncDispose]();
});

Deno.test("packed: an index made anew knows what was deleted again", async () => {
  await using packs = await openPacks();
  await packs.store.put("k", pattern(10));
  await packs.store.delete("k");
  assert.equal(await packs.store.has("k"), false);
  await using anew = await openPacked({ ...packs, index: newIndex() });
  sameBytes(await anew.get("k"), pattern(10));
});

Deno.test("packed: a complete index is not made anew", async () => {
  const { store, bytes, names, index } = await openPacks();
  await store.put("k", pattern(10));
  const gets = names.count("get", "pack/");
  await openPacked({ bytes, names, index });
  assert.equal(names.count("get", "pack/"), gets);
  await store[Symbol.asyncDispose]();
});

Deno.test("packed: a pack that is missing or cut short is a DamageError where it is read", async () => {
  for (const kept of [0, 10, 60_000]) {
    await using packs = await openPacks();
    await Promise.all([0, 1].map((i) => packs.store.put(`k${i}`, pattern(60_000, i))));
    const [pack] = await keysOf(packs.bytes);
    const whole = (await packs.bytes.get(pack))!;
    if (kept === 0) await packs.bytes.delete(pack);
    else await packs.bytes.put(pack, whole.subarray(0, kept));
    for (const i of [0, 1]) {
      const range = { start: 100, end: 200 };
      if (kept >= (i + 1) * 60_000) sameBytes(await packs.store.get(`k${i}`), pattern(60_000, i));
      else await assert.rejects(packs.store.get(`k${i}`), DamageError);
      if (kept >= i * 60_000 + 200) await packs.store.get(`k${i}`, range);
      else await assert.rejects(packs.store.get(`k${i}`, range), DamageError);
    }
  }
});

Deno.test("packed: a long value whose pack is cut short is a DamageError", async () => {
  await using packs = await openPacks();
  await packs.store.put("k", pattern(1_000_000));
  await packs.store.put("alone", pattern(3_000_000));
  for (const pack of await keysOf(packs.bytes)) {
    await packs.bytes.put(pack, (await packs.bytes.get(pack))!.subarray(0, 500_000));
  }
  await assert.rejects(packs.store.get("k"), DamageError);
  await assert.rejects(packs.store.get("k", { start: 400_000, end: 600_000 }), DamageError);
  await assert.rejects(packs.store.get("alone"), DamageError);
});

Deno.test("packed: a damaged table is a DamageError when the index is made anew", async () => {
  await using packs = await openPacks();
  await Promise.all([0, 1].map((i) => packs.store.put(`k${i}`, pattern(60_000, i))));
  const [pack] = await keysOf(packs.bytes);
  const whole = (await packs.bytes.get(pack))!;
  whole[whole.length - 60] ^= 1;
  await packs.bytes.put(pack, whole);
  await assert.rejects(rebuild({ ...packs, index: newIndex() }), DamageError);
});
