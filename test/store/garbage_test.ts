/** Garbage collection: what goes, what stays, and what is refused. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { ConflictError, MissingError, StoreBusyError } from "../../src/errors.ts";
import { CollectionClaim } from "../../src/store/collections.ts";
import { deletePaths } from "../../src/store/garbage.ts";
import { pinsOver } from "../../src/store/roots.ts";
import { HOMES } from "../castore/_homes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { testNeeding } from "../needs.ts";
import { HOUR, pathOf, Site } from "./_garbage.ts";

function garbageTest(name: string, test: (site: Site) => Promise<void>): void {
  for (const kind of HOMES) {
    testNeeding(...kind.needs)(`garbage, ${kind.name}: ${name}`, async () => {
      await using home = await kind.open();
      await test(new Site(home));
    });
  }
}

/** app → lib → base, and one beside them; app and other share a file and a folder. */
async function addClosure(site: Site): Promise<void> {
  const shared = { doc: { a: pattern(5000, 1), long: pattern(900_000, 2) }, link: "doc/a" };
  await site.add("base", { b: pattern(3000, 3) });
  await site.add("lib", { l: pattern(400_000, 4), shared }, ["base", "lib"]);
  await site.add("app", { x: pattern(700, 5), shared }, ["lib"]);
  await site.add("other", { "!o": pattern(1_500_000, 6), shared });
}

garbageTest("without anything to delete, nothing is deleted", async (site) => {
  await addClosure(site);
  await site.add("single", pattern(600_000, 9));
  await site.add("link", "somewhere");
  await site.addSideFile("log/a.drv", pattern(300_000, 7));
  site.pass();
  const keys = await site.keys();
  const result = await site.collect();
  assert.deepEqual(
    { ...result, kept: 0 },
    { paths: 0, nars: 0, sideFiles: 0, values: 0, bytes: 0, kept: 0, broken: 0 },
  );
  assert.equal(result.kept, keys.length);
  assert.deepEqual(await site.keys(), keys);
  await site.assertWhole();
});

garbageTest("what only a deleted path had goes, and what it shared stays", async (site) => {
  await addClosure(site);
  site.pass();
  const without = await site.keys();
  await site.add("more", { m: pattern(2_000_000, 8), n: pattern(3000, 3), o: { p: pattern(9, 1) } });
  site.pass();
  const dry = await site.collect({ delete: [pathOf("more").hashPart], dryRun: true });
  assert.ok((await site.paths()).includes("more"));
  const result = await site.collect({ delete: [pathOf("more").hashPart] });
  assert.deepEqual(result, dry);
  assert.equal(result.paths, 1);
  assert.equal(result.nars, 1);
  assert.deepEqual(await site.keys(), without);
  assert.deepEqual(await site.paths(), ["app", "base", "lib", "other"]);
  assert.deepEqual((await Array.fromAsync(site.names.list("upload/"))).length, 4);
  await site.assertWhole();
});

garbageTest("a path others refer to is not deleted, unless they are, too", async (site) => {
  await addClosure(site);
  const [base, lib, app] = ["base", "lib", "app"].map((name) => pathOf(name).hashPart);
  await assert.rejects(site.collect({ delete: [base] }), (error) => {
    return error instanceof ConflictError && error.message.includes(`${lib}-lib refers to it`);
  });
  await assert.rejects(site.collect({ delete: [base, app] }), ConflictError);
  await assert.rejects(site.collect({ delete: ["0".repeat(32)] }), MissingError);
  assert.equal((await site.paths()).length, 4);
  const order: string[] = [];
  const pathInfos = {
    ...site.services.pathInfos,
    delete: (hashPart: string) => {
      order.push(hashPart);
      return site.services.pathInfos.delete(hashPart);
    },
  };
  site.pass();
  const result = await site.collect({ delete: [base], withReferrers: true, pathInfos });
  assert.equal(result.paths, 3);
  assert.deepEqual(order, [app, lib, base]); // nobody sees a path that lacks a reference
  assert.deepEqual(await site.paths(), ["other"]);
  await site.assertWhole();
});

garbageTest("a pinned path is not deleted, and keeps what it refers to", async (site) => {
  await addClosure(site);
  const pins = pinsOver(site.names);
  await pins.add("web", pathOf("lib").hashPart);
  site.pass();
  await assert.rejects(site.collect({ delete: [pathOf("lib").hashPart], withReferrers: true }), (error) => {
    return error instanceof ConflictError && /pinned as web; unpin it first/.test(error.message);
  });
  await assert.rejects(
    site.collect({ delete: [pathOf("base").hashPart], withReferrers: true }),
    ConflictError,
  );
  await site.collect({ keep: "pinned" });
  assert.deepEqual(await site.paths(), ["base", "lib"]);
  await site.assertWhole();
  await pins.remove("web");
  await site.collect({ keep: "pinned" });
  assert.deepEqual(await site.keys(), []);
  assert.deepEqual(await Array.fromAsync(site.names.list("nar/")), []);
});

garbageTest("paths younger than the grace stay, and what they refer to", async (site) => {
  await addClosure(site);
  site.pass();
  await site.add("new", { n: pattern(10) }, ["base"]);
  await site.collect({ keep: "pinned", graceMs: HOUR });
  assert.deepEqual(await site.paths(), ["base", "new"]);
  site.pass(2 * HOUR);
  await site.collect({ keep: "pinned", graceMs: HOUR });
  assert.deepEqual(await site.paths(), []);
});

garbageTest("a NAR that no path has stays for the grace, and may be published meanwhile", async (site) => {
  const tree = { a: pattern(2_000_000, 4), b: { c: pattern(10) } };
  await site.receive(tree);
  site.pass(20 * HOUR);
  assert.equal((await site.collect()).nars, 0);
  await site.assertWhole();
  await site.add("late", tree);
  site.pass();
  assert.equal((await site.collect()).nars, 0);
  assert.deepEqual(await site.paths(), ["late"]);
  await site.assertWhole();
  await site.receive({ never: pattern(2_000_000, 5) });
  site.pass();
  assert.equal((await site.collect()).nars, 1);
  assert.equal((await Array.fromAsync(site.names.list("upload/"))).length, 1);
  await site.assertWhole();
});

garbageTest(
  "long Directories, and files with lists and outboards, are kept whole and deleted whole",
  async (site) => {
    const wide = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, i) => [`${i}-`.padEnd(60, "x"), pattern(4, i % 50)]),
    );
    await site.add("wide", { wide, f: pattern(5_000_000, 1) });
    site.pass();
    assert.ok((await site.keys("dir/")).length === 2 && (await site.keys("blob/")).length === 1);
    assert.equal((await site.collect()).values, 0);
    await site.assertWhole();
    await site.collect({ delete: [pathOf("wide").hashPart] });
    assert.deepEqual(await site.keys(), []);
  },
);

garbageTest("side files of deleted paths go, those of others stay", async (site) => {
  const json = (value: unknown) => fromText(JSON.stringify(value));
  await site.add("a", pattern(100, 1), [], "a.drv");
  await site.add("b", pattern(100, 2), [], "b.drv");
  await site.add("b-dev", pattern(100, 3), [], "b.drv");
  for (const drv of ["a.drv", "b.drv", "unknown.drv"]) {
    await site.addSideFile(`log/${pathOf(drv).hashPart}-${drv}`, fromText(`log of ${drv}`));
  }
  for (
    const [key, name] of [["realisations/sha256:1!out.doi", "a"], ["realisations/sha256:2!out.doi", "b"]]
  ) {
    const { hashPart } = pathOf(name);
    await site.addSideFile(key, json({ outPath: `${hashPart}-${name}` }));
  }
  await site.addSideFile("realisations/odd", fromText("no json"));
  const files = new Map<string, string>();
  for await (const key of site.names.list("upload/")) files.set(key, key);
  const { url } = await site.receive(pattern(100, 1));
  const other = await site.receive(pattern(100, 2));
  await site.addSideFile("debuginfo/aa", json({ archive: `../${url}`, member: "x" }));
  await site.addSideFile("debuginfo/bb", json({ archive: `../${other.url}`, member: "x" }));
  site.pass();
  const result = await site.collect({ delete: [pathOf("a").hashPart] });
  assert.equal(result.sideFiles, 3);
  const left: string[] = [];
  for (const prefix of ["log/", "realisations/", "debuginfo/"]) {
    left.push(...await Array.fromAsync(site.names.list(prefix)));
  }
  assert.deepEqual(
    left.sort(),
    [
      "debuginfo/bb",
      `log/${pathOf("b.drv").hashPart}-b.drv`,
      `log/${pathOf("unknown.drv").hashPart}-unknown.drv`,
      "realisations/odd",
      "realisations/sha256:2!out.doi",
    ].sort(),
  );
  await site.assertWhole();
});

garbageTest(
  "contents that were put and belong to nothing go when they were not used lately",
  async (site) => {
    const { digest } = await site.services.blobs.put(pattern(900_000, 1));
    assert.equal((await site.collect()).values, 0);
    assert.ok(await site.services.blobs.has(digest)); // which is a use
    site.pass(1000);
    assert.equal((await site.collect({ dryRun: true })).values, 0);
    assert.equal((await site.collect()).values, 0);
    site.pass();
    assert.ok((await site.collect()).values > 3);
    assert.equal(await site.services.blobs.has(digest), false);
  },
);

garbageTest("deletePaths takes the paths, and the next collection their contents", async (site) => {
  await addClosure(site);
  const options = { names: site.names, bytes: site.guard, now: () => site.now };
  await assert.rejects(deletePaths({ ...options, hashParts: [pathOf("lib").hashPart] }), ConflictError);
  const hashParts = [pathOf("lib").hashPart];
  assert.equal(await deletePaths({ ...options, hashParts, withReferrers: true }), 2);
  assert.deepEqual(await site.paths(), ["base", "other"]);
  const keys = (await site.keys()).length;
  site.pass();
  await site.collect();
  assert.ok((await site.keys()).length < keys);
  await site.assertWhole();
});

garbageTest("damage is counted, and does not end a collection", async (site) => {
  await addClosure(site);
  const [list] = await site.keys("blob/");
  await site.guard.unguarded.delete(list);
  const [directory] = await site.keys("dir/");
  await site.guard.unguarded.delete(directory);
  site.pass();
  assert.ok((await site.collect()).broken >= 1);
  assert.equal((await site.paths()).length, 4);
});

garbageTest("one collection at a time, until its owner is dead", async (site) => {
  await addClosure(site);
  await CollectionClaim.take(site.names, false, () => site.now);
  await assert.rejects(site.collect(), (error) => {
    return error instanceof StoreBusyError && /another collection is under way/.test(error.message);
  });
  assert.equal((await site.collect({ alone: true })).paths, 0);
  const claim = await CollectionClaim.take(site.names, false, () => site.now);
  site.pass(3 * 60_000);
  await site.collect();
  await assert.rejects(claim.deleting(() => Promise.resolve()), StoreBusyError);
  await assert.rejects(
    site.collect({ bytes: site.guard.unguarded }),
    (error) => error instanceof TypeError && /want a guarded store, or alone/.test(error.message),
  );
});

garbageTest("the signal ends it between two steps, and progress is told", async (site) => {
  for (let i = 0; i < 20; i++) await site.add(`p${i}`, { f: pattern(300_000, i) });
  site.pass();
  const stages = new Set<string>();
  const aborting = new AbortController();
  const ended = site.collect({
    delete: Array.from({ length: 19 }, (_, i) => pathOf(`p${i}`).hashPart),
    signal: aborting.signal,
    onProgress: ({ stage, done }) => {
      stages.add(stage);
      if (stage === "mark" && done > 1) aborting.abort(new Error("enough"));
    },
  });
  await assert.rejects(ended, /enough/);
  assert.deepEqual([...stages], ["records", "mark"]);
  await site.assertWhole();
  assert.ok((await site.collect()).values > 19);
  assert.deepEqual(await site.paths(), ["p19"]);
  await site.assertWhole();
});
