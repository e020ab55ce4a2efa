/** Pressed NARs and garbage collection: a record stays while its path does, goes before its chunks, and never outlives one. */
import assert from "node:assert/strict";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { COLLECTION_KEY, pressedKey } from "../../src/castore/layout.ts";
import { MissingError, StoreBusyError } from "../../src/errors.ts";
import { sequenceOf } from "../../src/store/collections.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import { pressedName } from "../../src/store/pressed_nar.ts";
import type { Home } from "../../src/store/services.ts";
import { measureStore } from "../../src/store/statistics.ts";
import { WatchedStore } from "../castore/_watched_store.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { HOUR, pathOf, Site } from "./_garbage.ts";
import { openFramed } from "./_pressing.ts";
import { numbers, randomTree, type Tree } from "./_trees.ts";

/** A tree of files small and larger. */
function tree(seed: number): Tree {
  const next = numbers(seed);
  const files = Array.from({ length: 60 }, (_, i): [string, Tree] => {
    return [`f${i}`, pattern(i % 9 === 0 ? 5000 + next(90_000) : 20 + next(900), next(40))];
  });
  return { ...Object.fromEntries(files), long: pattern(400_000, seed % 3) };
}

Deno.test("pressed garbage: a record and its runs stay with their path, and go with it", async () => {
  await using home = await openFramed();
  const site = new Site(home);
  const [stays, goes] = [await site.add("stays", tree(1)), await site.add("goes", tree(2))];
  for (const info of [stays, goes]) await site.press(info);
  const alone = await site.add("alone", tree(3));
  site.pass();
  const before = await site.keys();
  assert.equal((await site.collect()).values, 0, "nothing of what is pressed is garbage");
  assert.deepEqual(await site.keys(), before);
  await site.assertWhole();
  site.pass();
  await site.collect({ delete: [pathOf("goes").hashPart] });
  assert.deepEqual(await site.keys("pressed/"), [pressedKey(pressedName(stays.node))]);
  await site.assertWhole();
  site.pass();
  await site.collect({ delete: [pathOf("stays").hashPart, alone.storePath.hashPart] });
  assert.deepEqual(await site.keys(), [], "nothing is left of it");
});

Deno.test("pressed garbage: a record that is damaged is garbage with its runs, and nothing of the path is broken", async () => {
  await using home = await openFramed();
  const site = new Site(home);
  const info = await site.add("path", tree(4));
  const before = await site.keys();
  await site.press(info);
  const key = pressedKey(pressedName(info.node));
  const value = (await home.bytes.get(key))!.slice();
  value[100] ^= 1;
  await home.bytes.delete(key);
  await home.bytes.put(key, value);
  site.pass();
  const { broken, values } = await site.collect();
  assert.equal(broken, 0);
  assert.ok(values > 1);
  assert.deepEqual(await site.keys(), before);
  await site.press(info);
  await site.assertWhole();
});

Deno.test("pressed garbage: statistics count records and runs as their path's", async () => {
  await using home = await openFramed();
  const site = new Site(home);
  const [a, b] = [
    await site.add("a", tree(5)),
    await site.add("b", { ...tree(5) as object, more: pattern(70, 1) }),
  ];
  for (const info of [a, b]) await site.press(info);
  const measure = () => measureStore({ names: site.names, bytes: site.guard.unguarded });
  const stored = async () => {
    let [values, bytes] = [0, 0];
    for (const key of await site.keys()) {
      values++;
      bytes += (await site.guard.unguarded.get(key))!.length;
    }
    return { values, bytes };
  };
  const statistics = await measure();
  assert.equal(statistics.contents.pressed.values, 2);
  const all = { values: 0, bytes: 0 };
  for (const { values, bytes } of Object.values(statistics.contents)) {
    all.values += values;
    all.bytes += bytes;
  }
  assert.deepEqual(all, await stored());
  assert.deepEqual([statistics.garbage, statistics.broken], [{ values: 0, bytes: 0 }, 0]);
  const each = await Array.fromAsync(statistics.eachPath());
  const { ownBytes } = each.find(({ info }) => info.storePath.name === "b")!;
  const before = await stored();
  site.pass();
  await site.collect({ delete: [pathOf("b").hashPart] });
  assert.equal(before.bytes - (await stored()).bytes, ownBytes);
  assert.ok(ownBytes > 0);
});

/** A home that is watched, and a path in it that is pressed and was deleted. */
async function watchedHome(inner: Home) {
  const names = new WatchedStore(inner.names);
  const bytes = new Framed(inner.bytes);
  const site = new Site({ names, bytes });
  const info = await site.add("gone", tree(7));
  const chunks = await site.keys("chunk/");
  await site.press(info);
  assert.ok((await site.keys("chunk/")).length > chunks.length, "there are runs");
  await site.services.pathInfos.delete(info.storePath.hashPart);
  site.pass();
  /** Who shares the store and knows nothing of this one. */
  const other = (bytes: ByteStore) => new Site({ names, bytes });
  return { site, info, names, bytes, other };
}

Deno.test("pressed garbage: killed before any deletion, a record that is left has its chunks", async () => {
  for (let deletions = 0;; deletions++) {
    await using home = await openFramed();
    const { site, bytes } = await watchedHome(home);
    let left = deletions;
    bytes.before = ({ method }) => {
      if (method === "delete" && left-- <= 0) throw new Error("killed");
    };
    const ended = await site.collect({ graceMs: HOUR }).then(() => "well", (error) => error.message);
    bytes.before = () => {};
    await site.assertWhole();
    if (ended === "well") {
      assert.ok(deletions > 20);
      return;
    }
    assert.equal(ended, "killed");
  }
});

Deno.test("pressed garbage: one that is pressed anew when its record was deleted keeps its chunks", async () => {
  await using home = await openFramed();
  const { site, info, names, bytes, other } = await watchedHome(home);
  let pressed = false;
  names.before = async ({ method, key }) => {
    if (pressed || method !== "update" || key !== COLLECTION_KEY) return;
    if ((await site.keys("pressed/")).length > 0 || await sequenceOf(home.names) % 2 === 1) return;
    pressed = true; // between two parts of the collection, after records were swept and before chunks are
    await other(bytes).press(info);
  };
  await site.collect({ graceMs: HOUR });
  assert.ok(pressed);
  assert.equal((await site.keys("pressed/")).length, 1);
  await site.assertWhole();
});

Deno.test("pressed garbage: one whose chunks are collected while it is pressed is taken back", async () => {
  await using home = await openFramed();
  const { site, info, bytes, other } = await watchedHome(home);
  const others = new Framed(bytes);
  let collected = false;
  others.before = async ({ method, key }) => {
    if (collected || method !== "put" || !key.startsWith("pressed/")) return;
    collected = true;
    await site.collect({ graceMs: HOUR });
  };
  await assert.rejects(other(others).press(info), StoreBusyError);
  assert.ok(collected);
  assert.deepEqual(await site.keys(), []);
});

/** Lets others run before a call, more or less often. */
function shuffle(store: WatchedStore, next: (below: number) => number): void {
  store.before = () => {
    const turns = [0, 0, 0, 1, 2, 9][next(6)];
    if (turns === 9) return new Promise((resolve) => setTimeout(resolve, next(3)));
    return turns === 0 ? undefined : (async () => {
      for (let i = 0; i < turns; i++) await Promise.resolve();
    })();
  };
}

for (const sameProcess of [true, false]) {
  Deno.test(`pressed garbage: pressing beside a collection leaves no record without its chunks (one process: ${sameProcess})`, async () => {
    let [refused, collected] = [0, 0];
    for (let seed = 1; seed <= 6 || (!sameProcess && refused === 0 && seed <= 100); seed++) {
      const next = numbers(seed);
      await using home = await openFramed();
      const names = new WatchedStore(home.names);
      const bytes = new Framed(home.bytes);
      const site = new Site({ names, bytes });
      const infos: PathInfo[] = [];
      for (let i = 0; i < 4; i++) {
        infos.push(await site.add(`p${i}`, { a: randomTree(seed + i), b: tree(next(6)) }));
      }
      for (const info of infos.slice(2)) await site.press(info);
      // Its record and runs are garbage; another path presses some of the same runs.
      await site.services.pathInfos.delete(pathOf("p3").hashPart);
      site.pass();
      const other = sameProcess ? site : new Site({ names, bytes });
      other.now = site.now;
      for (const store of [names, bytes]) shuffle(store, next);
      const presses = infos.map(async (info, i) => {
        await new Promise((resolve) => setTimeout(resolve, i * next(25)));
        for (let tries = 0; tries < 5; tries++) {
          try {
            return void await other.press(info);
          } catch (error) {
            // A path that is deleted loses its contents in the middle of it.
            assert.ok(error instanceof StoreBusyError || error instanceof MissingError, String(error));
            refused++;
            if (i === 3) return;
          }
        }
        assert.fail("five times in vain");
      });
      const [{ values }] = await Promise.all([site.collect({ graceMs: HOUR }), ...presses]);
      collected += values;
      await site.assertWhole();
      site.pass();
      await site.collect({ graceMs: HOUR });
      await site.assertWhole();
    }
    assert.ok(collected > 0, "nothing was collected: the test has no force");
    if (!sameProcess) assert.ok(refused > 0, "no pressing met a collection: the test has no force");
  });
}

/** A watched store that gives values as they are stored, too. */
class Framed extends WatchedStore {
  readonly getStored: NonNullable<ByteStore["getStored"]>;

  constructor(inner: ByteStore) {
    super(inner);
    this.getStored = (keys) => inner.getStored!(keys);
  }
}
