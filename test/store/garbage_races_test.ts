/**
 * Garbage collection beside uploads that use again what is being deleted, in many orders of events; and killed after every
 * single write. Whatever happens, what is visible is whole.
 */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { indexOver } from "../../src/combinators/pack_index.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import { MissingError, StoreBusyError } from "../../src/errors.ts";
import { pinsOver } from "../../src/store/roots.ts";
import { servicesOver } from "../../src/store/services.ts";
import { WatchedStore } from "../castore/_watched_store.ts";
import { openPacks, type Packs } from "../combinators/_packs.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { HOUR, pathOf, Site } from "./_garbage.ts";
import { numbers, type Tree } from "./_trees.ts";

/** A tree of some of a few contents, short and long, alone and in folders. */
function someTree(next: (below: number) => number): Tree {
  const files: Tree[] = Array.from({ length: 12 }, (_, i) => pattern(i % 6 === 0 ? 300_000 + i : 50 + i, i));
  const folder = (): Tree => {
    return Object.fromEntries(Array.from({ length: 1 + next(4) }, () => [`f${next(5)}`, files[next(12)]]));
  };
  return { a: folder(), b: folder(), c: files[next(12)], d: { e: folder() } };
}

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

/** A home of paths and of what deleted ones left, all of it old. */
async function oldHome(next: (below: number) => number, packed: boolean) {
  const names = new WatchedStore(openMemory());
  const packs = packed ? await openPacks() : undefined;
  const bytes = new WatchedStore(packs?.store ?? openMemory());
  const site = new Site({ names, bytes });
  for (let i = 0; i < 8; i++) await site.add(`old${i}`, someTree(next));
  for (let i = 0; i < 6; i++) await site.services.pathInfos.delete(pathOf(`old${i}`).hashPart);
  site.pass();
  for (const store of [names, bytes]) shuffle(store, next);
  return { site, names, bytes, packs };
}

async function pauseThen<T>(milliseconds: number, work: () => T): Promise<Awaited<T>> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  return await work();
}

/** An index made anew from the packs says the same. */
async function assertSameIndex({ store, bytes, names }: Packs): Promise<void> {
  const anew = await openPacked({ bytes, names, index: await indexOver(openMemory()) });
  assert.deepEqual(await Array.fromAsync(anew.list("")), await Array.fromAsync(store.list("")));
}

for (const packed of [false, true]) {
  Deno.test(`garbage: uploads beside a collection succeed, and are whole (packed: ${packed})`, async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const next = numbers(seed);
      const { site, packs } = await oldHome(next, packed);
      // A use before it begins counts, too: a client asks for what it need not send.
      const early = await site.receive(someTree(next));
      const uploads = Array.from({ length: 4 }, async (_, i) => {
        for (let turns = next(60); turns > 0; turns--) await Promise.resolve();
        if (i % 2) await new Promise((resolve) => setTimeout(resolve, next(30)));
        await site.add(`new${i}`, someTree(next));
      });
      const compacting = pauseThen(next(40), () => packs?.store.compact({ dead: 0.1 }));
      const result = await Promise.all([site.collect({ graceMs: HOUR }), compacting, ...uploads]);
      await site.assertWhole();
      assert.equal((await site.paths()).length, 6, `seed ${seed}`);
      assert.ok(await site.names.has(early.url.replace("nar/", "upload/")));
      assert.ok(result[0].nars >= 1);
      await site.collect();
      await packs?.store.compact({ dead: 0.1 });
      await site.assertWhole();
      if (packs) await assertSameIndex(packs);
      await packs?.[Symbol.asyncDispose]();
    }
  });
}

Deno.test("garbage: uploads of another process are whole, or are refused and succeed when repeated", async () => {
  let refused = 0;
  for (let seed = 1; seed <= 20 || (refused === 0 && seed <= 200); seed++) {
    const next = numbers(seed);
    const { site, names, bytes } = await oldHome(next, false);
    const other = new Site({ names, bytes });
    other.now = site.now;
    const uploads = Array.from({ length: 4 }, async (_, i) => {
      const tree = someTree(next);
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, next(40)));
      for (let tries = 0;; tries++) {
        try {
          return await other.add(`new${i}`, tree);
        } catch (error) {
          // That it says so is all that is asked; a narinfo may also come to a NAR that was taken back.
          assert.ok(error instanceof StoreBusyError || error instanceof MissingError, String(error));
          assert.ok(tries < 5);
          refused++;
        }
      }
    });
    await Promise.all([site.collect({ graceMs: HOUR }), ...uploads]);
    await site.assertWhole();
    assert.equal((await site.paths()).length, 6);
  }
  assert.ok(refused > 0, "no upload met a collection: the test has no force");
});

Deno.test("garbage: a path that is pinned, or referred to, while it is deleted stays or is told to be gone", async () => {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 20 || (outcomes.size < 4 && seed <= 200); seed++) {
    const next = numbers(seed);
    const { site } = await oldHome(next, false);
    await site.add("wanted", someTree(next));
    site.pass();
    const pin = (async () => {
      for (let turns = next(400); turns > 0; turns--) await Promise.resolve();
      try {
        await pinsOver(site.names, () => site.now).add("keep", pathOf("wanted").hashPart);
        return "pinned";
      } catch (error) {
        assert.ok(error instanceof MissingError);
        return "gone";
      }
    })();
    const add = (async () => {
      if (next(2)) await new Promise((resolve) => setTimeout(resolve, next(6)));
      try {
        await site.add("referrer", someTree(next), ["wanted"]);
        return "added";
      } catch (error) {
        assert.ok(error instanceof MissingError || error instanceof StoreBusyError, String(error));
        return "refused";
      }
    })();
    const [, pinned, added] = await Promise.all([site.collect({ keep: "pinned", graceMs: HOUR }), pin, add]);
    outcomes.add(pinned).add(added);
    const paths = await site.paths();
    if (pinned === "pinned" || added === "added") assert.ok(paths.includes("wanted"), `seed ${seed}`);
    if (pinned === "gone") assert.deepEqual(await Array.fromAsync(pinsOver(site.names).list()), []);
    await site.assertWhole(); // also that every reference is there
  }
  assert.deepEqual([...outcomes].sort(), ["added", "gone", "pinned", "refused"]);
});

/** A store whose process is killed after a number of writes: nothing it is asked for comes to an end any more. */
function mortal(store: ByteStore, life: { writes: number }): ByteStore {
  const killed = () => Promise.reject(new Error("killed"));
  const alive = () => life.writes > 0;
  const write = <T>(work: () => Promise<T>) => alive() && life.writes-- > 0 ? work() : killed();
  return {
    get: (key, range) => alive() ? store.get(key, range) : killed(),
    has: (key) => alive() ? store.has(key) : killed(),
    put: (key, value) => write(() => store.put(key, value)),
    delete: (key) => write(() => store.delete(key)),
    update: (key, change) => write(() => store.update(key, change)),
    list: (prefix) => store.list(prefix),
    [Symbol.asyncDispose]: async () => {},
  };
}

Deno.test("garbage: killed after any of its writes, all is whole, and the next collection finishes", async () => {
  const build = async () => {
    const home = { names: openMemory(), bytes: openMemory() };
    const site = new Site(home);
    const next = numbers(5);
    await site.add("base", someTree(next));
    await site.add("app", someTree(next), ["base"], "app.drv");
    await site.add("stays", someTree(next));
    await site.addSideFile(`log/${pathOf("app.drv").hashPart}-app.drv`, pattern(20));
    await site.receive(someTree(next));
    await pinsOver(site.names).add("keep", pathOf("stays").hashPart);
    site.pass();
    return { home, site };
  };
  const state = async (home: { names: ByteStore; bytes: ByteStore }) => {
    const keys = [
      ...await Array.fromAsync(home.names.list("")),
      ...await Array.fromAsync(home.bytes.list("")),
    ];
    return keys.join("\n");
  };
  const { home, site } = await build();
  const life = { writes: 1_000_000 };
  const run = (parts: { names: ByteStore; bytes: ByteStore }, now: number, life: { writes: number }) => {
    const site = new Site({ names: mortal(parts.names, life), bytes: mortal(parts.bytes, life) });
    site.now = now;
    return site.collect({ keep: "pinned" });
  };
  await run(home, site.now, life);
  const want = await state(home);
  assert.ok(want.includes("path/") && !want.includes("log/"));
  const writes = 1_000_000 - life.writes;
  assert.ok(writes > 30, `${writes}`);
  for (let after = 0; after < writes; after++) {
    const { home, site } = await build();
    await assert.rejects(run(home, site.now, { writes: after }), /killed/);
    const later = new Site(home);
    await later.assertWhole();
    later.now = site.now + 3 * 60_000; // by then whoever was killed counts as dead
    await later.add("stays", someTree(numbers(9))).catch(() => {}); // whoever comes meanwhile is not in the way
    later.pass();
    await later.collect({ keep: "pinned" });
    await later.assertWhole();
    assert.equal(await state(home), want, `killed after ${after} writes`);
  }
});

Deno.test("garbage: services over a guarded store read and write as those below do", async () => {
  const site = new Site({ names: openMemory(), bytes: openMemory() });
  const { blobs } = servicesOver({ names: site.names, bytes: site.guard });
  const { digest } = await blobs.put(pattern(700_000));
  assert.deepEqual(await (await blobs.open(digest))!.bytes(), pattern(700_000));
});
