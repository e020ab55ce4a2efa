/** The index of packs over a journal: its contract, several that follow one journal, and what the journal's records are. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { openJournalIndex } from "../../src/combinators/journal_index.ts";
import { decodeChange, encodeChange, type PackChange } from "../../src/combinators/pack_journal.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import { DamageError } from "../../src/errors.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { packIndexContract } from "../contract/pack_index.ts";
import { packedContract } from "../contract/packed.ts";
import { testContract } from "../contract/run.ts";
import { MemoryJournal } from "./_memory_journal.ts";

testContract("journal index", packIndexContract, () => openJournalIndex(new MemoryJournal()));

async function openTab(journal: MemoryJournal) {
  const index = await openJournalIndex(journal);
  const bytes = openMemory();
  // Packs lie in the journal's map, where the index puts them.
  bytes.get = (key, range) => {
    const pack = journal.packs.get(key);
    return Promise.resolve(range ? pack?.subarray(range.start, range.end) : pack);
  };
  return { index, store: await openPacked({ bytes, names: bytes, index, packLength: 64 * 1024 }) };
}

testContract(
  "packed with a journal index",
  packedContract,
  async () => (await openTab(new MemoryJournal())).store,
);

const digest = (number: number) => number.toString(16).padStart(8, "0").repeat(8);

Deno.test("journal index: what one adds the others find, and read the journal only for what they do not know", async () => {
  const journal = new MemoryJournal();
  const [one, other] = [await openTab(journal), await openTab(journal)];
  await Promise.all(
    Array.from({ length: 500 }, (_, i) => one.store.put(`chunk/${digest(i)}`, pattern(1000, i))),
  );
  journal.reads = 0;
  const got = await Promise.all(
    Array.from({ length: 500 }, (_, i) => other.store.get(`chunk/${digest(i)}`)),
  );
  for (const [i, value] of got.entries()) sameBytes(value, pattern(1000, i));
  assert.equal(journal.reads, 1, "all that missed at once asked once");
  for (let i = 0; i < 500; i++) await other.store.get(`chunk/${digest(i)}`);
  assert.equal(journal.reads, 1);
  assert.equal(await other.store.get("chunk/absent"), undefined);
  assert.equal(journal.reads, 2);
});

Deno.test("journal index: a put of what another forgot a moment ago stores it again", async () => {
  const journal = new MemoryJournal();
  const [one, other] = [await openTab(journal), await openTab(journal)];
  const key = `chunk/${digest(1)}`;
  await one.store.put(key, pattern(1000));
  sameBytes(await other.store.get(key), pattern(1000));
  await one.store.delete(key);
  await other.store.put(key, pattern(1000)); // first of all: nothing else has told it yet
  const third = await openTab(journal);
  sameBytes(await third.store.get(key), pattern(1000));
  sameBytes(await one.store.get(key), pattern(1000));
});

Deno.test("journal index: has() knows what another forgot a moment ago", async () => {
  const journal = new MemoryJournal();
  const [one, other] = [await openTab(journal), await openTab(journal)];
  const key = `chunk/${digest(1)}`;
  await one.store.put(key, pattern(1000));
  assert.equal(await other.store.has(key), true);
  await one.store.delete(key);
  assert.equal(await other.store.has(key), false);
});

Deno.test("journal index: a value that two stored is gone when one forgets it, from both packs", async () => {
  const journal = new MemoryJournal();
  const [one, other] = [await openTab(journal), await openTab(journal)];
  const key = `chunk/${digest(1)}`;
  await Promise.all([
    one.store.put(key, pattern(1000)),
    one.store.put("chunk/a", pattern(10)),
    other.store.put(key, pattern(1000)),
    other.store.put("chunk/b", pattern(10)),
  ]);
  assert.equal(journal.packs.size, 2);
  await one.store.delete(key);
  for (const { store, index } of [one, other, await openTab(journal)]) {
    // Whichever of the two packs is read whole by now, it does not show what is forgotten.
    for (const neighbour of ["chunk/a", "chunk/b"]) sameBytes(await store.get(neighbour), pattern(10));
    assert.equal(await store.has(key), false);
    for (const pack of journal.packs.keys()) assert.deepEqual(await index.deletedFrom(pack), [key]);
  }
  sameBytes(await (await openTab(journal)).store.get(key), undefined);
});

Deno.test("journal index: opened again it knows everything, without a look at a pack", async () => {
  const journal = new MemoryJournal();
  const { store } = await openTab(journal);
  const keys = Array.from({ length: 3000 }, (_, i) => `${["chunk", "dir"][i % 2]}/${digest(i * 7919)}`);
  await Promise.all(keys.map((key, i) => store.put(key, pattern(100, i))));
  for (const key of keys.slice(0, 100)) await store.delete(key);
  const index = await openJournalIndex(journal);
  assert.equal(index.complete, true);
  assert.deepEqual(await Array.fromAsync(index.list("")), keys.slice(100).sort());
  for (const key of keys.slice(100)) assert.ok(index.get(key) instanceof Promise === false, key);
});

Deno.test("journal index: an append that fails changes nothing, and the next works", async () => {
  const journal = new MemoryJournal();
  const { store, index } = await openTab(journal);
  journal.fails = new Error("no luck");
  await assert.rejects(store.put("chunk/a", pattern(10)), /no luck/);
  assert.equal(await store.has("chunk/a"), false);
  await store.put("chunk/a", pattern(10));
  journal.fails = new Error("no luck");
  await assert.rejects(store.delete("chunk/a"), /no luck/);
  assert.equal(await store.has("chunk/a"), true);
  assert.equal((await Array.fromAsync(index.list(""))).length, 1);
});

const entry = (key: string, offset: number, length = 10) => ({ key, offset, length });

Deno.test("journal index: values move to another pack, but for those that are gone or elsewhere by then", async () => {
  const journal = new MemoryJournal();
  const [one, other] = [await openJournalIndex(journal), await openJournalIndex(journal)];
  await one.add("pack/a", false, [entry("k", 0), entry("l", 10), entry("m", 20), entry("n", 30)]);
  await one.add("pack/b", true, [entry("n", 0), entry("o", 10)]);
  await other.delete("l");
  await other.delete("m");
  await other.add("pack/c", true, [entry("m", 5)]);
  await one.move("pack/new", false, [
    ...["k", "l", "m", "n"].map((key, i) => ({ ...entry(key, 10 * i), from: "pack/a" })),
    { ...entry("o", 40), from: "pack/b" },
  ]);
  for (const index of [one, other, await openJournalIndex(journal)]) {
    // What it relies on it looks at again, and then it knows the rest, too.
    assert.equal((await index.confirm("k"))?.pack, "pack/new");
    const places = await Promise.all(
      ["k", "l", "m", "n", "o"].map(async (key) => (await index.get(key))?.pack),
    );
    assert.deepEqual(places, ["pack/new", undefined, "pack/c", "pack/new", "pack/new"]);
    assert.deepEqual(await index.deletedFrom("pack/new"), ["l", "m"]);
    const uses = new Map((await Array.fromAsync(index.packs())).map((use) => [use.pack, use]));
    const use = (pack: string, small: boolean, values: number, dead: number) => {
      assert.deepEqual(uses.get(pack), { pack, small, values, live: 10 * values, dead });
    };
    use("pack/new", false, 3, 20);
    use("pack/a", false, 0, 40);
    use("pack/b", true, 0, 20);
    use("pack/c", true, 1, 0);
  }
});

Deno.test("journal index: a pack without values is removed with its bytes, one that has some again is not", async () => {
  const journal = new MemoryJournal();
  const [one, other] = [await openTab(journal), await openTab(journal)];
  await one.store.put("chunk/a", pattern(10));
  await one.store.put("chunk/b", pattern(10));
  const [packA, packB] = journal.packs.keys();
  await one.store.delete("chunk/a");
  await one.store.delete("chunk/b");
  await other.store.put("chunk/a", pattern(10)); // in a pack of the same name, which the first does not know of
  await Promise.all([
    one.index.removePack(packA),
    one.index.removePack(packB),
    one.index.removePack("pack/no"),
  ]);
  assert.deepEqual([...journal.packs.keys()], [packA]);
  for (const { store, index } of [one, other, await openTab(journal)]) {
    assert.equal(await store.has("chunk/b"), false);
    sameBytes(await store.get("chunk/a"), pattern(10));
    assert.deepEqual((await Array.fromAsync(index.packs())).map(({ pack }) => pack), [packA]);
  }
  await one.store.put("chunk/b", pattern(10));
  sameBytes(await other.store.get("chunk/b"), pattern(10));
});

Deno.test("journal index: what makes no difference any more is dropped, and who is late learns it all the same", async () => {
  const journal = new MemoryJournal();
  const [one, late] = [await openTab(journal), await openTab(journal)];
  const keys = Array.from({ length: 400 }, (_, i) => `chunk/${digest(i)}`);
  await Promise.all(keys.map((key, i) => one.store.put(key, pattern(100, i))));
  await one.store.put("dir/stays", pattern(100));
  sameBytes(await late.store.get(keys[0]), pattern(100, 0));
  for (const key of keys) await one.store.delete(key);
  for (const pack of [...journal.packs.keys()]) await one.index.removePack(pack);
  assert.ok(journal.changes.filter((change) => change).length > 400);
  const fresh = await openTab(journal);
  assert.ok(journal.changes.filter((change) => change).length < 10, "the forgotten values are dropped");
  for (const { index } of [one, late, fresh, await openTab(journal)]) {
    assert.deepEqual(await Array.fromAsync(index.list("")), ["dir/stays"]);
    assert.equal(await index.get(keys[0]), undefined);
  }
});

Deno.test("journal: a change is what it was when it was encoded", () => {
  const keys = [
    "a",
    `chunk/${digest(77)}`,
    digest(3),
    "x".repeat(488),
    `${digest(1).toUpperCase()}`,
    `p/${digest(2)}x`,
  ];
  const changes: PackChange[] = [
    { type: "complete" },
    { type: "forgotten", keys },
    { type: "forgotten", keys: [] },
    { type: "pack", pack: `pack/${digest(5)}`, small: true, entries: [] },
    { type: "removed", pack: `pack/${digest(5)}` },
    { type: "removed", pack: "pack/x" },
    {
      type: "moved",
      pack: `pack/${digest(6)}`,
      small: true,
      entries: keys.map((key, i) => ({ key, offset: i, length: 9, from: `pack/${digest(i % 3)}` })),
    },
    {
      type: "pack",
      pack: "value/" + keys[1],
      small: false,
      entries: keys.map((key, i) => ({ key, offset: i * 1e6, length: 4 << 20 })),
    },
  ];
  for (const change of changes) {
    const bytes = encodeChange(change);
    assert.deepEqual(decodeChange(bytes, 1), change);
    for (const length of [bytes.length - 1, bytes.length - 3, 0]) {
      if (length < 0) continue;
      let read: PackChange | undefined;
      try {
        read = decodeChange(bytes.slice(0, length), 7);
      } catch (error) {
        assert.ok(error instanceof DamageError, String(error));
        assert.match(error.message, /^Cannot read change 7 of the journal of packs/);
        continue;
      }
      assert.notDeepEqual(read, change);
    }
  }
});

Deno.test("journal: its layout is pinned", () => {
  const key = `chunk/${"0123456789abcdef".repeat(4)}`;
  const pack: PackChange = {
    type: "pack",
    pack: "pack/x",
    small: true,
    entries: [{ key, offset: 258, length: 3 }],
  };
  assert.equal(
    toHex(encodeChange(pack)),
    "01" + "01" + "0600" + "7061636b2f78" + "2680" + "6368756e6b2f" + "0123456789abcdef".repeat(4) +
      "02010000" +
      "03000000",
  );
  assert.equal(toHex(encodeChange({ type: "forgotten", keys: ["ab"] })), "02" + "0200" + "6162");
  assert.equal(toHex(encodeChange({ type: "complete" })), "03");
  assert.equal(toHex(encodeChange({ type: "removed", pack: "pack/x" })), "05" + "0600" + "7061636b2f78");
  const from = (pack: string, offset: number) => ({ key: "k", offset, length: 3, from: pack });
  const moved: PackChange = { type: "moved", pack: "x", small: false, entries: [from("a", 1), from("b", 2)] };
  assert.equal(
    toHex(encodeChange(moved)),
    "04" + "00" + "0100" + "78" + "02000000" + "0100" + "61" + "0100" + "62" +
      ("0100" + "6b" + "01000000" + "03000000" + "00000000") +
      ("0100" + "6b" + "02000000" + "03000000" + "01000000"),
  );
  assert.throws(() => decodeChange(new Uint8Array([4]) as Bytes, 1), DamageError);
});
