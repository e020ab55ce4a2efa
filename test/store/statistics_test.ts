/** What a store says it holds, against what is there, and against what a deletion frees. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import type { Contents } from "../../src/store/owners.ts";
import { pressNar } from "../../src/store/press_nar.ts";
import { measureStore, type StoreStatistics } from "../../src/store/statistics.ts";
import { givesStored } from "../../src/store/stored_chunks.ts";
import type { PackedStore } from "../../src/combinators/packed.ts";
import { HOMES } from "../castore/_homes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { permissions, testNeeding } from "../needs.ts";
import { pathOf, Site } from "./_garbage.ts";
import { numbers, randomTree } from "./_trees.ts";

/** Homes that give values as they are stored, without which nothing is pressed. */
const PACKED = HOMES.filter(({ name }) => name !== "memory" && name !== "deno kv");

function statisticsTest(name: string, test: (site: Site) => Promise<void>, homes = HOMES): void {
  for (const kind of homes) {
    testNeeding(...kind.needs)(`statistics, ${kind.name}: ${name}`, async () => {
      await using home = await kind.open();
      await test(new Site(home));
    });
  }
}

/** What a store of packs tells of its values. */
const lengthsOf = ({ guard: { unguarded } }: Site) => {
  return "lengths" in unguarded ? (unguarded as PackedStore).lengths.bind(unguarded) : undefined;
};

const measure = (site: Site) => {
  return measureStore({ names: site.names, bytes: site.guard.unguarded, lengths: lengthsOf(site) });
};

/** All stored values, by kind: each asked for by itself. */
async function stored(
  site: Site,
): Promise<Record<string, { values: number; bytes: number; stored: number }>> {
  const kinds: Record<string, { values: number; bytes: number; stored: number }> = {};
  for (const kind of ["chunk", "blob", "outboard", "dir", "pressed"]) {
    const keys = await site.keys(kind + "/");
    const sum = { bytes: 0, stored: 0 };
    for (const key of keys) {
      const { length } = (await site.guard.unguarded.get(key))!;
      sum.bytes += length;
      sum.stored += await (site.guard.unguarded as Partial<PackedStore>).lengthOf?.(key) ?? length;
    }
    kinds[kind] = { values: keys.length, ...sum };
  }
  return kinds;
}

/** What is told of them, with runs among the chunks, which they are. */
function contentsOf(
  { contents: { run, chunk, ...others } }: StoreStatistics,
): typeof others & { chunk: Contents } {
  const sum = (of: keyof Contents) => run[of] + chunk[of];
  return { ...others, chunk: { values: sum("values"), bytes: sum("bytes"), stored: sum("stored") } };
}

statisticsTest("an empty store holds nothing", async (site) => {
  const { paths, narBytes, garbage, contents } = await measure(site);
  assert.deepEqual([paths, narBytes, garbage], [0, 0, { values: 0, bytes: 0 }]);
  for (const amount of Object.values(contents)) assert.deepEqual(amount, { values: 0, bytes: 0, stored: 0 });
});

statisticsTest(
  "distinct contents are what is stored, and what deletion frees is what a path has alone",
  async (site) => {
    const shared = { doc: pattern(900_000, 2), more: { x: pattern(10, 1) } };
    const wide = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, i) => [`${i}-`.padEnd(60, "x"), pattern(4, i % 50)]),
    );
    await site.add("base", { shared, b: pattern(3000, 3) });
    await site.add("lib", { shared, l: { m: pattern(1_400_000, 4), n: pattern(0) } }, ["base", "lib"]);
    await site.add("app", { "!x": pattern(700, 5), again: pattern(700, 5), link: "x" }, ["lib"]);
    await site.add("twin", { "!x": pattern(700, 5), again: pattern(700, 5), link: "x" });
    await site.add("wide", wide);
    await site.addSideFile("log/x.drv", pattern(300_000, 8));
    const statistics = await measure(site);
    assert.equal(statistics.paths, 5);
    assert.deepEqual(contentsOf(statistics), await stored(site));
    assert.deepEqual(statistics.garbage, { values: 0, bytes: 0 });
    assert.equal(statistics.broken, 0);
    const infos = await Array.fromAsync(site.services.pathInfos.list());
    assert.equal(statistics.narBytes, infos.reduce((sum, { narSize }) => sum + narSize, 0));
    const each = new Map(
      (await Array.fromAsync(statistics.eachPath())).map((path) => [path.info.storePath.name, path]),
    );
    const size = (name: string) => each.get(name)!.info.narSize;
    assert.equal(each.get("app")!.closureSize, size("app") + size("lib") + size("base"));
    assert.equal(each.get("app")!.closurePaths, 3);
    assert.equal(each.get("twin")!.closureSize, size("twin"));
    assert.equal(each.get("twin")!.ownBytes, 0);
    const total = (kinds: Record<string, { stored: number }>) => {
      return Object.values(kinds).reduce((sum, { stored }) => sum + stored, 0);
    };
    for (const name of ["wide", "twin", "app", "lib", "base"]) {
      const before = total(await stored(site));
      const own = await Array.fromAsync((await measure(site)).eachPath());
      const { ownBytes } = own.find(({ info }) => info.storePath.name === name)!;
      site.pass();
      await site.collect({ delete: [pathOf(name).hashPart], withReferrers: false });
      assert.equal(before - total(await stored(site)), ownBytes, name);
      if (name === "twin") assert.equal(ownBytes, 0);
      else assert.ok(ownBytes > 0, name);
    }
  },
);

testNeeding(permissions)("statistics tell how long contents are, and how much room they take", async () => {
  await using home = await HOMES.find(({ name }) => name === "folder, compressed")!.open();
  const site = new Site(home);
  const text = fromText("a line that is like all others\n".repeat(10_000));
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  await site.add("text", { text, again: text });
  await site.add("noise", { noise });
  const { contents, eachPath } = await measure(site);
  assert.equal(contents.chunk.bytes, text.length + noise.length);
  assert.ok(contents.chunk.stored < 61_000, `${contents.chunk.stored}`);
  assert.ok(contents.chunk.stored > 60_000, `${contents.chunk.stored}`);
  const [own, other] = (await Array.fromAsync(eachPath())).map(({ ownBytes }) => ownBytes).sort((a, b) =>
    a - b
  );
  assert.ok(own < 1000 && other > 60_000, `${own} ${other}`);
});

statisticsTest("pressed NARs are told apart from what they repeat, and go with their paths", async (site) => {
  const tiny = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${i}`, pattern(1000, i)]));
  const infos = [
    await site.add("one", { tiny, large: pattern(700_000, 1) }),
    await site.add("two", { tiny, large: pattern(700_000, 2) }),
  ];
  const before = await measure(site);
  assert.deepEqual([before.contents.run.values, before.contents.pressed.values], [0, 0]);
  const { blobs, directories } = site.services;
  assert.ok(givesStored(blobs));
  const options = { directories, names: site.names, bytes: site.guard, hashes: portableHashes };
  for (const { node } of infos) await pressNar(node, { ...options, blobs });
  const after = await measure(site);
  assert.deepEqual(after.distinct, before.distinct);
  assert.deepEqual(after.contents.chunk, before.contents.chunk);
  assert.equal(after.contents.pressed.values, 2);
  assert.ok(after.contents.run.bytes >= 200_000, `${after.contents.run.bytes}`);
  assert.deepEqual(contentsOf(after), await stored(site));
  assert.equal(after.stored, Object.values(await stored(site)).reduce((sum, { stored }) => sum + stored, 0));
  assert.deepEqual(after.garbage, { values: 0, bytes: 0 });
  const [{ ownBytes }] = (await Array.fromAsync(after.eachPath())).filter(({ info }) => {
    return info.storePath.name === "one";
  });
  site.pass();
  await site.collect({ delete: [pathOf("one").hashPart], withReferrers: false });
  const left = await measure(site);
  assert.equal(after.stored - left.stored, ownBytes);
  assert.equal(left.contents.pressed.values, 1);
}, PACKED);

statisticsTest("random paths: distinct, own and garbage bytes add up", async (site) => {
  const next = numbers(7);
  for (let i = 0; i < 8; i++) {
    await site.add(`p${i}`, { a: randomTree(next(4), 300_000), b: randomTree(next(4)) });
  }
  const statistics = await measure(site);
  assert.deepEqual(contentsOf(statistics), await stored(site));
  const own = await Array.fromAsync(statistics.eachPath());
  for (const i of [0, 3, 5]) await site.services.pathInfos.delete(pathOf(`p${i}`).hashPart);
  for await (const key of site.names.list("nar/")) await site.names.delete(key);
  const { garbage, contents } = await measure(site);
  const all = await stored(site);
  for (const kind of ["chunk", "blob", "outboard", "dir", "pressed"] as const) {
    assert.ok(contents[kind].bytes <= all[kind].bytes);
    assert.ok(contents[kind].stored <= all[kind].stored);
  }
  const sum = (kinds: Record<string, { stored: number; values: number }>, of: "stored" | "values") => {
    return Object.values(kinds).reduce((sum, amount) => sum + amount[of], 0);
  };
  assert.equal(sum(contents, "stored") + garbage.bytes, sum(all, "stored"));
  assert.equal(sum(contents, "values") + garbage.values, sum(all, "values"));
  const freed = [0, 3, 5].reduce((bytes, i) => {
    return bytes + own.find(({ info }) => info.storePath.name === `p${i}`)!.ownBytes;
  }, 0);
  assert.ok(garbage.bytes >= freed); // together they may have more alone than each by itself
});
