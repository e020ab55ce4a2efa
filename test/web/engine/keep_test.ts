// Keeping and letting go: figures, pins, deleting with what nothing else needs.
import assert from "node:assert/strict";
import type { Overview } from "../../../web/engine/engine.ts";
import { faultOf } from "../../../web/engine/fault.ts";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { indexOver } from "../../../src/combinators/pack_index.ts";
import { openPacked } from "../../../src/combinators/packed.ts";
import { StoreFullError } from "../../../src/errors.ts";
import type { Home } from "../../../src/store/services.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { noise } from "../../server/_site.ts";
import { open, Tab, World } from "./_tab.ts";

const test = testNeeding(permissions);
const base = (path: string) => path.slice("/nix/store/".length);

async function faultIn(call: Promise<unknown>): Promise<string> {
  return await call.then(() => "none", (error) => faultOf(error).name);
}

async function valuesIn(tab: Tab): Promise<number> {
  return (await Array.fromAsync(tab.home.bytes.list(""))).length;
}

test("engine: figures tell what sharing saves", async () => {
  await using world = await World.open();
  const shared = noise(1_000_000);
  const one = await world.publish("one", { shared, own: noise(10_000, 2) });
  const two = await world.publish("two", { shared, own: noise(20_000, 3) });
  const tab = world.tab();
  await open(tab, world, one, { everything: true });
  await open(tab, world, two, { everything: true });
  const overview: Overview = await tab.engine.overview();
  const { paths, partial, logical, distinct, stored, garbage, persisted } = overview;
  assert.deepEqual({ paths, partial, garbage, persisted }, {
    paths: 2,
    partial: 0,
    garbage: 0,
    persisted: false,
  });
  assert.ok(logical > 2_030_000 && stored < 1_040_000, `${logical} ${stored}`);
  assert.equal(distinct, stored, "as it is, nothing is compressed");
});

test("engine: what is deleted takes with it what nothing else needs, and nothing more", async () => {
  await using world = await World.open();
  const shared = noise(1_000_000);
  const one = await world.publish("one", { shared, own: noise(300_000, 2) });
  const two = await world.publish("two", { shared, own: noise(20_000, 3) });
  const looked = await world.publish("looked", { at: "a little", rest: noise(100_000, 9) });
  const tab = world.tab();
  for (const path of [one, two]) await open(tab, world, path, { everything: true });
  await open(tab, world, looked);
  await tab.engine.read(looked, "at", 0, 10);
  const { paths, freed } = await tab.engine.remove([one]);
  assert.deepEqual(paths, [one]);
  assert.ok(freed >= 300_000 && freed < 310_000, `${freed}`);
  assert.equal(await faultIn(tab.engine.truth(one)), "MissingError");
  assert.deepEqual((await tab.engine.verify(two)).narHash.verdict, "true");
  const offline = new Tab(() => Response.error(), tab.home);
  assert.deepEqual(
    await offline.engine.read(looked, "at", 0, 10),
    new TextEncoder().encode("a little"),
    "partial",
  );
  await tab.engine.remove([two, looked]);
  assert.deepEqual(await tab.engine.stored(), []);
  assert.equal(await valuesIn(tab), 0);
  const again = await open(tab, world, one, { everything: true });
  assert.equal(again.state, "whole");
});

test("engine: pinned paths and those that are referred to are not deleted", async () => {
  await using world = await World.open();
  const lib = await world.publish("lib", { "libx.so": "lib" });
  const app = await world.publish("app", { app: `${lib}/libx.so` }, { References: base(lib) });
  const other = await world.publish("other", { file: "other" });
  const tab = world.tab();
  await open(tab, world, app, { everything: true, closure: true });
  await open(tab, world, other);
  assert.equal(await faultIn(tab.engine.remove([lib])), "ConflictError", "app refers to it");
  assert.equal((await tab.engine.stored()).length, 3, "and nothing was deleted");
  assert.equal(await faultIn(tab.engine.pin(other)), "MissingError", "not all of it is here");
  await tab.engine.pin(app);
  await tab.engine.complete(other);
  assert.deepEqual((await tab.engine.stored()).filter(({ pinned }) => pinned).map(({ path }) => path), [app]);
  assert.equal(await faultIn(tab.engine.remove([app])), "ConflictError");
  assert.deepEqual((await tab.engine.collect("unpinned")).paths, [other]);
  assert.equal((await tab.engine.stored()).length, 2);
  await tab.engine.unpin(app);
  assert.deepEqual([...(await tab.engine.remove([app, lib])).paths].sort(), [app, lib].sort());
});

test("engine: unneeded contents of opens that failed are collected", async () => {
  await using world = await World.open();
  const path = await world.publish("broken", { a: noise(500_000), b: noise(500_000, 5) });
  let count = 0;
  const tab = new Tab((request) => {
    const url = new URL(request.url);
    if (url.pathname === "/blob/read" && count++ > 0) return new Response(null, { status: 500 });
    return world.site.app.fetch(request);
  });
  await open(tab, world, path);
  await tab.engine.read(path, "a", 0, 10);
  await tab.engine.remove([path]);
  assert.equal(await valuesIn(tab), 0);
  const { paths, freed } = await tab.engine.collect("unneeded");
  assert.deepEqual([paths, freed], [[], 0]);
});

/** A home that has room to forget so many values until some are given back, as a full browser's reserve has. */
async function fullHome(most: number): Promise<{ home: Home; room: { most: number; given: number } }> {
  const names = openMemory();
  const bytes = await openPacked({ bytes: openMemory(), names, index: await indexOver(openMemory()) });
  const room = { most, given: 0 };
  let forgotten = 0;
  const tight = new Proxy(bytes, {
    get(store, name) {
      if (name === "delete") {
        return async (key: string) => {
          if (forgotten === room.most) throw new StoreFullError("no room to forget");
          forgotten++;
          await store.delete(key);
        };
      }
      if (name === "compact") {
        return async () => {
          forgotten = 0;
          room.given++;
          return await store.compact();
        };
      }
      const member = store[name as keyof typeof store] as unknown;
      return typeof member === "function" ? member.bind(store) : member;
    },
  });
  return { home: { names, bytes: tight }, room };
}

test("engine: where there is no room to forget everything, room is given back in between", async () => {
  await using world = await World.open();
  const files = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}`, noise(100_000, i + 1)]));
  const many = await world.publish("many", files);
  const other = await world.publish("other", { file: noise(100_000, 99) });
  const { home, room } = await fullHome(10);
  const tab = world.tab(home);
  for (const path of [many, other]) await open(tab, world, path, { everything: true });
  const { paths, freed } = await tab.engine.remove([many]);
  assert.deepEqual(paths, [many]);
  assert.ok(freed >= 3_000_000 && freed < 3_010_000, `${freed}`);
  assert.ok(room.given >= 3, `given back ${room.given} times`);
  assert.equal((await tab.engine.verify(other)).narHash.verdict, "true");
  // Where nothing can be given back, that is told.
  room.most = 0;
  assert.equal(await faultIn(tab.engine.remove([other])), "StoreFullError");
  room.most = 10;
  assert.deepEqual((await tab.engine.collect("unneeded")).paths, []);
  assert.equal(await valuesIn(tab), 0);
});
