/**
 * What `PackIndex` promises, sentence by sentence. That it outlives a crash is tested with the adapters.
 */
import { MAX_PACKED_KEY_LENGTH, type PackEntry, type PackIndex } from "../../src/combinators/pack_index.ts";
import { hashOf, ODD_KEYS, sorted } from "./_byte_store_samples.ts";
import { type ContractCase, ensure, ensureSame, promiseOf } from "./case.ts";

const PACK = "pack/" + "ab".repeat(32);
const OTHER = "pack/" + "cd".repeat(32);

const entry = (key: string, offset = 0, length = 1): PackEntry => ({ key, offset, length });

/** What the index says of a key, as text. */
async function placeOf(index: PackIndex, key: string): Promise<string> {
  const found = await index.get(key);
  return found
    ? `${found.pack} ${found.small ? "small" : "large"} ${found.offset}+${found.length}`
    : "nowhere";
}

async function keysOf(index: PackIndex, prefix: string): Promise<string[]> {
  return await Array.fromAsync(index.list(prefix));
}

/** Every promise of a PackIndex. */
export const packIndexContract: readonly ContractCase<PackIndex>[] = [
  promiseOf("a new index is not complete, until that is noted", async (index) => {
    ensureSame(index.complete, false, "complete at first");
    await index.add(PACK, false, [entry("a")]);
    ensureSame(index.complete, false, "complete after an add");
    await index.setComplete();
    ensureSame(index.complete, true, "complete when noted");
    await index.setComplete();
    ensureSame(index.complete, true, "complete when noted twice");
  }),

  promiseOf("a pack it does not hold, it does not say it holds", async (index) => {
    await index.add(PACK, false, [entry("a")]);
    ensureSame(await index.hasPack(OTHER), false, "hasPack of another");
    ensureSame(typeof await index.hasPack(PACK), "boolean", "what hasPack answers"); // it may not know
  }),

  promiseOf("an absent key is undefined", async (index) => {
    await index.add(PACK, false, [entry("there")]);
    for (const key of ["absent", "ther", "there/", "THERE"]) ensureSame(await index.get(key), undefined, key);
  }),

  promiseOf("it finds each value of a pack where it was added", async (index) => {
    const entries = [entry("a", 0, 0), entry("b", 0, 4 << 20), entry("c/d", 4194303, 1), entry("c", 5, 6)];
    await index.add(PACK, false, entries);
    await index.add(OTHER, true, [entry("small", 3, 4)]);
    for (const { key, offset, length } of entries) {
      ensureSame(await placeOf(index, key), `${PACK} large ${offset}+${length}`, key);
    }
    ensureSame(await placeOf(index, "small"), `${OTHER} small 3+4`, "the value of a small pack");
  }),

  promiseOf("a key that is there keeps its place or moves", async (index) => {
    await index.add(PACK, false, [entry("a", 1, 2)]);
    await index.add(OTHER, true, [entry("a", 3, 4), entry("b", 5, 6)]);
    const place = await placeOf(index, "a");
    ensure(
      place === `${PACK} large 1+2` || place === `${OTHER} small 3+4`,
      `a key added again is at ${place}`,
    );
    ensureSame(await placeOf(index, "b"), `${OTHER} small 5+6`, "a key added beside it");
    ensureSame(await keysOf(index, ""), ["a", "b"], "keys");
  }),

  promiseOf("adding a pack again changes nothing", async (index) => {
    const entries = Array.from({ length: 20 }, (_, i) => entry(`k${i}`, i, 1));
    await index.add(PACK, false, entries);
    await index.add(PACK, false, entries);
    for (const { key, offset } of entries) {
      ensureSame(await placeOf(index, key), `${PACK} large ${offset}+1`, key);
    }
    ensureSame((await keysOf(index, "")).length, 20, "how many keys there are");
  }),

  promiseOf("a forgotten value is gone, others stay, and it may be added anew", async (index) => {
    await index.add(PACK, false, [entry("a", 1, 2), entry("b", 3, 4)]);
    await index.delete("a");
    await index.delete("a");
    await index.delete("never");
    ensureSame(await placeOf(index, "a"), "nowhere", "a forgotten value");
    ensureSame(await placeOf(index, "b"), `${PACK} large 3+4`, "its neighbour");
    ensureSame(await keysOf(index, ""), ["b"], "keys");
    await index.add(OTHER, true, [entry("a", 5, 6)]);
    ensureSame(await placeOf(index, "a"), `${OTHER} small 5+6`, "a value added anew");
  }),

  promiseOf("confirm(), where there is one, says of its own changes what get() says", async (index) => {
    if (!index.confirm) return;
    ensureSame(await index.confirm("a"), undefined, "an absent key");
    await index.add(PACK, false, [entry("a", 1, 2), entry("b", 3, 4)]);
    ensureSame((await index.confirm("a"))?.offset, 1, "a key that was added");
    await index.delete("a");
    ensureSame(await index.confirm("a"), undefined, "a forgotten key");
    ensureSame((await index.confirm("b"))?.offset, 3, "its neighbour");
  }),

  promiseOf(
    "it says which values of a pack were forgotten, though they are added anew elsewhere",
    async (index) => {
      await index.add(PACK, false, ["a", "b", "c"].map((key, i) => entry(key, i, 1)));
      await index.add(OTHER, true, [entry("d"), entry("e")]);
      ensureSame([...await index.deletedFrom(PACK)], [], "at first");
      for (const key of ["b", "a", "b", "e"]) await index.delete(key);
      ensureSame([...await index.deletedFrom(PACK)].sort(), ["a", "b"], "of one pack");
      ensureSame([...await index.deletedFrom(OTHER)], ["e"], "of the other");
      await index.add("pack/third", true, [entry("a", 9, 9)]);
      ensureSame(await placeOf(index, "a"), "pack/third small 9+9", "a value added anew");
      ensureSame((await index.deletedFrom(PACK)).includes("b"), true, "what is forgotten still");
    },
  ),

  promiseOf("any key may stand in it, the longest too", async (index) => {
    const longest = "k".repeat(MAX_PACKED_KEY_LENGTH);
    const keys = [
      ...ODD_KEYS.filter(({ length }) => length <= MAX_PACKED_KEY_LENGTH),
      longest,
      longest.slice(1),
    ];
    await index.add(PACK, false, keys.map((key, i) => entry(key, i, 1)));
    for (const [i, key] of keys.entries()) {
      ensureSame(await placeOf(index, key), `${PACK} large ${i}+1`, key);
    }
    ensureSame(await keysOf(index, ""), sorted(keys), "all keys");
    for (const [i, key] of keys.entries()) if (i % 2) await index.delete(key);
    const gone = keys.filter((_, i) => i % 2);
    ensureSame(sorted([...await index.deletedFrom(PACK)]), sorted(gone), "what is forgotten");
    ensureSame(await keysOf(index, ""), sorted(keys.filter((_, i) => i % 2 === 0)), "keys that are left");
  }),

  promiseOf("list() gives the keys that begin with the prefix, in byte order", async (index) => {
    ensureSame(await keysOf(index, ""), [], "keys of an empty index");
    const keys = Array.from({ length: 2500 }, (_, i) => `${["chunk", "dir", "blob"][i % 3]}/${hashOf(i)}`);
    await index.add(PACK, false, keys.map((key, i) => entry(key, i, 1)));
    const all = sorted(keys);
    for (const prefix of ["", "chunk/", "dir/", "dir", "d", "c", "chunk/0", all[7], "zzz", "~", "/"]) {
      const want = all.filter((key) => key.startsWith(prefix));
      ensureSame(await keysOf(index, prefix), want, `keys under ${prefix}`);
    }
  }),

  promiseOf("ending a list() early leaves the index in order, also for writes meanwhile", async (index) => {
    const keys = Array.from({ length: 1200 }, (_, i) => hashOf(i));
    await index.add(PACK, false, keys.map((key, i) => entry(key, i, 1)));
    const all = sorted(keys);
    for await (const key of index.list("")) {
      ensureSame(key, all[0], "the first key");
      break;
    }
    const got: string[] = [];
    for await (const key of index.list("")) {
      if (got.length % 400 === 0) await index.delete(key);
      got.push(key);
    }
    ensureSame(got, all, "keys listed while some were deleted");
    ensureSame((await keysOf(index, "")).length, 1197, "how many keys are left");
  }),

  promiseOf("adds and look-ups at once are all answered", async (index) => {
    const packs = Array.from({ length: 20 }, (_, p) => `pack/${p}`);
    await Promise.all(packs.map((pack, p) => {
      return index.add(pack, p % 2 === 0, Array.from({ length: 50 }, (_, i) => entry(`${p}/${i}`, i, p)));
    }));
    const places = await Promise.all(packs.map((_, p) => placeOf(index, `${p}/49`)));
    const want = packs.map((pack, p) => `${pack} ${p % 2 ? "large" : "small"} 49+${p}`);
    ensureSame(places, want, "places");
  }),
];
