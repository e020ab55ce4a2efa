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

async function lengthsOf(index: PackIndex, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(index.lengths(prefix))).map(({ key, length }) => `${key} ${length}`);
}

/** What the index says of its packs, by their names: those in which something is found or was forgotten. */
async function usesOf(index: PackIndex): Promise<string[]> {
  const uses = (await Array.fromAsync(index.packs())).filter(({ values, dead }) => values > 0 || dead > 0);
  return uses.map(({ pack, values, live, dead }) => `${pack}: ${values} of ${live}, dead ${dead}`).sort();
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

  promiseOf("a value that is added again with its own pack is not forgotten any more", async (index) => {
    const entries = [entry("a", 0, 5), entry("b", 5, 7)];
    await index.add(PACK, false, entries);
    await index.delete("a");
    await index.delete("b");
    await index.add(PACK, false, entries);
    ensureSame(await placeOf(index, "a"), `${PACK} large 0+5`, "a value added again");
    ensureSame([...await index.deletedFrom(PACK)], [], "what is forgotten");
    ensureSame(await usesOf(index), [`${PACK}: 2 of 12, dead 0`], "packs");
  }),

  promiseOf("it tells of every pack how much is found in it, and how much was forgotten", async (index) => {
    ensureSame(await usesOf(index), [], "packs of a new index");
    const many = Array.from({ length: 2500 }, (_, i) => entry(`k${i}`, i, 3));
    await index.add(PACK, false, [...many, entry("empty", 0, 0)]);
    await index.add(OTHER, true, [entry("a", 0, 10), entry("b", 10, 20)]);
    ensureSame(
      await usesOf(index),
      [`${PACK}: 2501 of 7500, dead 0`, `${OTHER}: 2 of 30, dead 0`],
      "at first",
    );
    for (let i = 0; i < 1200; i++) await index.delete(`k${i}`);
    await index.delete("a");
    await index.delete("a");
    ensureSame(
      await usesOf(index),
      [`${PACK}: 1301 of 3900, dead 3600`, `${OTHER}: 1 of 20, dead 10`],
      "after some were forgotten",
    );
    await index.delete("b");
    ensureSame((await usesOf(index))[1], `${OTHER}: 0 of 0, dead 30`, "a pack without values");
  }),

  promiseOf("values move to a new pack, but those that are not where they were taken from", async (index) => {
    await index.add(PACK, false, ["a", "b", "c"].map((key, i) => entry(key, i, 2)));
    await index.add(OTHER, true, [entry("d", 7, 2), entry("e", 9, 2)]);
    await index.delete("b");
    await index.delete("e");
    await index.add("pack/third", false, [entry("e", 1, 2)]);
    await index.move("pack/new", true, [
      { ...entry("a", 10, 2), from: PACK },
      { ...entry("b", 12, 2), from: PACK },
      { ...entry("d", 14, 2), from: OTHER },
      { ...entry("e", 16, 2), from: OTHER },
      { ...entry("c", 18, 2), from: OTHER },
    ]);
    ensureSame(await placeOf(index, "a"), "pack/new small 10+2", "a value that moved");
    ensureSame(await placeOf(index, "d"), "pack/new small 14+2", "one of another pack");
    ensureSame(await placeOf(index, "b"), "nowhere", "one that was forgotten");
    ensureSame(await placeOf(index, "e"), "pack/third large 1+2", "one that is elsewhere");
    ensureSame(await placeOf(index, "c"), `${PACK} large 2+2`, "one that was not taken from there");
    ensureSame(await keysOf(index, ""), ["a", "c", "d", "e"], "keys");
    const use = (await Array.fromAsync(index.packs())).find(({ pack }) => pack === "pack/new");
    ensureSame([use?.values, use?.live, use?.small], [2, 4, true], "the new pack");
    ensureSame([...await index.deletedFrom("pack/new")].includes("a"), false, "what is forgotten of it");
    await index.delete("a");
    ensureSame([...await index.deletedFrom("pack/new")].includes("a"), true, "what is forgotten of it then");
  }),

  promiseOf("a pack that was removed is not spoken of, and may be added again", async (index) => {
    await index.removePack(OTHER);
    await index.add(PACK, false, [entry("a", 0, 5), entry("b", 5, 5)]);
    await index.add(OTHER, true, [entry("c", 0, 5)]);
    for (const key of ["a", "b"]) await index.delete(key);
    await index.removePack(PACK);
    ensureSame([...await index.deletedFrom(PACK)], [], "what is forgotten of it");
    ensureSame(await index.hasPack(PACK), false, "hasPack");
    ensureSame(await usesOf(index), [`${OTHER}: 1 of 5, dead 0`], "packs");
    await index.add("pack/third", true, [entry("x", 0, 1)]);
    await index.add(PACK, false, [entry("a", 0, 5)]);
    ensureSame(await placeOf(index, "a"), `${PACK} large 0+5`, "a value of a pack added again");
    ensureSame(await placeOf(index, "x"), "pack/third small 0+1", "a value of another");
    ensureSame(await placeOf(index, "c"), `${OTHER} small 0+5`, "a value of the one that stayed");
  }),

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

  promiseOf("lengths() gives the keys that list() gives, and the length of each", async (index) => {
    ensureSame(await lengthsOf(index, ""), [], "lengths of an empty index");
    const keys = sorted(Array.from({ length: 2500 }, (_, i) => `${["chunk", "dir"][i % 2]}/${hashOf(i)}`));
    await index.add(PACK, false, keys.map((key, i) => entry(key, i, i % 7)));
    await index.add(OTHER, true, [entry("dir", 0, 4 << 20)]);
    await index.delete(keys[2]);
    for (const prefix of ["", "chunk/", "dir/", "dir", keys[7], "zzz", "é"]) {
      const want = keys.flatMap((key, i) => i === 2 ? [] : [`${key} ${i % 7}`]);
      const all = sorted([...want, `dir ${4 << 20}`]).filter((line) => line.startsWith(prefix));
      ensureSame(await lengthsOf(index, prefix), all, `lengths under ${prefix}`);
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
