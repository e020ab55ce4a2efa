/** How a packed store groups what is put: into which packs, when they are written, and what a failed one leaves. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { MAX_VALUE_LENGTH } from "../../src/castore/byte_store.ts";
import { indexOver } from "../../src/combinators/pack_index.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import { StoreFullError } from "../../src/errors.ts";
import { inTime, pause, WatchedStore } from "../castore/_watched_store.ts";
import { hashOf, pattern } from "../contract/_byte_store_samples.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { INDEXES, keysOf, openPacks, packsTest } from "./_packs.ts";

packsTest("a thousand values of 4 KiB put at once are one or two packs", async ({ store, bytes, names }) => {
  const keys = Array.from({ length: 1000 }, (_, i) => hashOf(i));
  await Promise.all(keys.map((key, i) => store.put(key, pattern(4096, i))));
  assert.ok(bytes.count("put", "pack/") <= 2, `${bytes.count("put")} packs`);
  assert.equal(bytes.count("put") + names.count("put"), bytes.count("put", "pack/"));
  for (const { length } of bytes.calls) assert.ok(length <= MAX_VALUE_LENGTH);
  for (const [i, key] of keys.entries()) sameBytes(await store.get(key), pattern(4096, i));
});

packsTest(
  "values that follow each other closely share a pack, though none fills it",
  async ({ store, bytes }) => {
    const puts: Promise<void>[] = [];
    for (let i = 0; i < 50; i++) {
      puts.push(store.put(`k${i}`, pattern(10_000, i)));
      await Promise.resolve();
    }
    await Promise.all(puts);
    assert.equal(bytes.count("put"), 1);
  },
);

packsTest("values whose keys begin alike share packs, others do not", async ({ store, bytes, index }) => {
  const kinds = ["chunk/", "dir/", "chunk/", "blob/", ""];
  await Promise.all(
    Array.from({ length: 100 }, (_, i) => store.put(`${kinds[i % 5]}${i}`, pattern(10_000, i))),
  );
  assert.equal(bytes.count("put", "pack/"), 4);
  const packs = new Map<string, string>();
  for (let i = 0; i < 100; i++) {
    const { pack } = (await index.get(`${kinds[i % 5]}${i}`))!;
    assert.equal(packs.get(kinds[i % 5]) ?? pack, pack);
    packs.set(kinds[i % 5], pack);
  }
  assert.equal(new Set(packs.values()).size, 4);
});

packsTest("a value is written in time though others keep coming", async ({ store }) => {
  let coming = true;
  const others = (async () => {
    for (let i = 0; coming; i++) {
      void store.put(`chunk/${i}`, pattern(10, i));
      await pause();
    }
  })();
  await inTime(store.put("dir/k", pattern(10)), 1000);
  await inTime(store.put("chunk/k", pattern(11)), 1000);
  coming = false;
  await others;
});

packsTest("a value by itself is written soon, without another to push it", async ({ store, names }) => {
  await inTime(store.put("k", pattern(10)), 1000);
  assert.equal(names.count("put", "pack/"), 1);
});

Deno.test("packed: a pack waits for values as long as is said, and small is what is said to be", async () => {
  const bytes = new WatchedStore(openMemory());
  const names = new WatchedStore(openMemory());
  const options = { linger: 1000, maxAge: 60_000, smallPack: 100_000 };
  await using store = await openPacked({ bytes, names, index: await indexOver(openMemory()), ...options });
  const puts: Promise<void>[] = [];
  for (let i = 0; i < 5; i++) {
    puts.push(store.put(`k${i}`, pattern(15_000, i)));
    await new Promise((resolve) => setTimeout(resolve, 10)); // five times as long as packs wait otherwise
  }
  await Promise.all(puts);
  assert.deepEqual([bytes.count("put"), names.count("put", "pack/")], [0, 1]);
});

Deno.test("packed: a pack that others keep open is ended when it is old", async () => {
  const bytes = new WatchedStore(openMemory());
  const options = { linger: 10_000, maxAge: 10_000 };
  const index = await indexOver(openMemory());
  const parts = { bytes, names: bytes, index };
  for (
    const wrong of [{ linger: -1 }, { linger: 5, maxAge: 4 }, { maxAge: 1e9 }, { maxAge: NaN }, {
      packsKept: 0,
    }]
  ) {
    await assert.rejects(openPacked({ ...parts, ...wrong }), RangeError);
  }
  const store = await openPacked({ ...parts, ...options });
  const put = store.put("k", pattern(10));
  await store[Symbol.asyncDispose](); // which does not wait for that
  await inTime(put, 1000);
  await using quick = await openPacked({
    ...parts,
    index: await indexOver(openMemory()),
    linger: 50,
    maxAge: 60,
  });
  let coming = true;
  const others = (async () => {
    for (let i = 0; coming; i++) {
      void quick.put(`chunk/${i}`, pattern(10, i));
      await pause();
    }
  })();
  await inTime(quick.put("chunk/k", pattern(11)), 5000);
  coming = false;
  await others;
});

packsTest("small packs go to the names, larger ones to the bytes", async ({ store, bytes, names }) => {
  await store.put("small", pattern(48 * 1024 - 200));
  assert.deepEqual([bytes.count("put"), names.count("put", "pack/")], [0, 1]);
  await store.put("large", pattern(48 * 1024));
  assert.deepEqual([bytes.count("put", "pack/"), names.count("put")], [1, 1]);
});

packsTest("values over 2 MiB have a place of their own", async ({ store, bytes, names, index }) => {
  await store.put("shared", pattern(MAX_VALUE_LENGTH / 2));
  await store.put("alone", pattern(MAX_VALUE_LENGTH / 2 + 1));
  await store.put("longest", pattern(MAX_VALUE_LENGTH));
  assert.equal(bytes.count("put", "pack/"), 1);
  assert.deepEqual((await keysOf(bytes)).filter((key) => !key.startsWith("pack/")), [
    "value/alone",
    "value/longest",
  ]);
  assert.equal(names.count("put"), 0);
  assert.equal((await index.get("alone"))?.pack, "value/alone");
  sameBytes(await store.get("longest"), pattern(MAX_VALUE_LENGTH));
});

packsTest("no pack is over the bound, whatever is put together", async ({ store, bytes, names }) => {
  const lengths = [2_000_000, 2_097_152, 0, 1, 2_097_152, 1_000_000, 1_100_000, 50_000, 2_097_000, 2_097_000];
  await Promise.all(lengths.map((length, i) => store.put(`k${i}`, pattern(length, i))));
  const puts = [...bytes.calls, ...names.calls].filter(({ method }) => method === "put");
  for (const { length } of puts) assert.ok(length <= MAX_VALUE_LENGTH);
  for (const [i, length] of lengths.entries()) sameBytes(await store.get(`k${i}`), pattern(length, i));
});

Deno.test("packed: packs are as long as they are asked to be", async () => {
  const [bytes, names] = [new WatchedStore(openMemory()), new WatchedStore(openMemory())];
  const packLength = 128 * 1024;
  const index = await indexOver(openMemory());
  const store = await openPacked({ bytes, names, index, packLength });
  const lengths = [...Array(100).fill(10_000), packLength / 2, packLength / 2 + 1, MAX_VALUE_LENGTH];
  await Promise.all(lengths.map((length, i) => store.put(`k${i}`, pattern(length, i))));
  const packs = bytes.calls.filter(({ method, key }) => method === "put" && key.startsWith("pack/"));
  assert.ok(packs.length >= 8 && packs.length <= 10, `${packs.length} packs`);
  for (const { length } of packs) assert.ok(length <= packLength, `a pack of ${length} bytes`);
  assert.deepEqual((await keysOf(bytes)).filter((key) => !key.startsWith("pack/")), [
    "value/k101",
    "value/k102",
  ]);
  for (const [i, length] of lengths.entries()) sameBytes(await store.get(`k${i}`), pattern(length, i));
  for (const packLength of [0, 65_535, MAX_VALUE_LENGTH + 1, NaN]) {
    await assert.rejects(openPacked({ bytes, names, index, packLength }), RangeError);
  }
});

packsTest(
  "a put resolves when its pack and its entry are written, not before",
  async ({ store, bytes, index }) => {
    const gate = Promise.withResolvers<void>();
    bytes.before = ({ method }) => method === "put" ? gate.promise : undefined;
    let resolved = false;
    const putting = store.put("k", pattern(100_000)).then(() => resolved = true);
    while (bytes.count("put") === 0) await pause(1);
    await pause(5);
    assert.equal(resolved, false);
    assert.equal(await index.get("k"), undefined);
    // Meanwhile it is read from memory, and a second put waits for the first.
    sameBytes(await store.get("k"), pattern(100_000));
    const again = store.put("k", pattern(100_000));
    gate.resolve();
    await Promise.all([putting, again]);
    assert.equal(bytes.count("put"), 1);
    assert.notEqual(await index.get("k"), undefined);
  },
);

packsTest("packs are written at the same time", async ({ store, bytes }) => {
  bytes.before = ({ method }) => method === "put" ? pause(20) : undefined;
  await Promise.all(Array.from({ length: 12 }, (_, i) => store.put(`k${i}`, pattern(1_500_000, i))));
  assert.ok(bytes.most >= 3, `${bytes.most} at once`);
});

packsTest(
  "a pack that cannot be written rejects its puts, leaves nothing, and the next works",
  async ({ store, bytes }) => {
    bytes.before = () => {
      throw new StoreFullError("Cannot write: the disk is full");
    };
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    const results = await Promise.allSettled(keys.map((key, i) => store.put(key, pattern(10_000, i))));
    for (const result of results) {
      assert.ok(
        result.status === "rejected" && result.reason instanceof StoreFullError,
      );
    }
    await pause();
    for (const key of keys) {
      assert.equal(await store.has(key), false);
      sameBytes(await store.get(key), undefined);
    }
    assert.deepEqual(await keysOf(store), []);
    bytes.before = () => {};
    await Promise.all(keys.map((key, i) => store.put(key, pattern(10_000, i))));
    for (const [i, key] of keys.entries()) sameBytes(await store.get(key), pattern(10_000, i));
  },
);

packsTest("a put tried again at once when it was rejected is a new try", async ({ store, bytes }) => {
  let fails = 1;
  bytes.before = () => {
    if (fails-- > 0) throw new StoreFullError("Cannot write: the disk is full");
  };
  let tries = 0;
  for (let stored = false; !stored && tries < 2; tries++) {
    try {
      await store.put("k", pattern(100_000));
      stored = true;
    } catch (error) {
      assert.ok(error instanceof StoreFullError);
    }
  }
  sameBytes(await store.get("k"), pattern(100_000));
  assert.equal(bytes.count("put"), 2);
});

packsTest(
  "a value alone that cannot be written rejects its put, leaves nothing, and the next works",
  async ({ store, bytes }) => {
    bytes.before = () => {
      throw new StoreFullError("Cannot write: the disk is full");
    };
    await assert.rejects(store.put("k", pattern(3_000_000)), StoreFullError);
    assert.equal(await store.has("k"), false);
    bytes.before = () => {};
    await store.put("k", pattern(3_000_000));
    sameBytes(await store.get("k"), pattern(3_000_000));
  },
);

packsTest("a pack that fails does not harm those next to it", async ({ store, bytes }) => {
  let packs = 0;
  bytes.before = async ({ method }) => {
    if (method !== "put") return;
    const failing = ++packs === 2;
    await pause(5);
    if (failing) throw new Error("no luck");
  };
  const values = Array.from({ length: 9 }, (_, i) => pattern(1_300_000, i));
  const results = await Promise.allSettled(values.map((value, i) => store.put(`k${i}`, value)));
  assert.deepEqual(results.map(({ status }) => status[0]).join(""), "fffrrrfff");
  for (const [i, value] of values.entries()) {
    sameBytes(await store.get(`k${i}`), results[i].status === "fulfilled" ? value : undefined);
  }
});

packsTest("an index that cannot be written rejects the puts of the pack", async ({ store, index }) => {
  const add = index.add;
  index.add = () => Promise.reject(new Error("no index"));
  const putting = ["a", "b"].map((key) => store.put(key, pattern(100)));
  for (const result of await Promise.allSettled(putting)) assert.equal(result.status, "rejected");
  await pause();
  assert.equal(await store.has("a"), false);
  index.add = add;
  await store.put("a", pattern(100));
  sameBytes(await store.get("a"), pattern(100));
});

packsTest("a list does not fail because somebody's put does", async ({ store, bytes }) => {
  await store.put("a", pattern(100_000));
  bytes.before = () => {
    throw new Error("no luck");
  };
  const failing = store.put("b", pattern(100_000));
  failing.catch(() => {});
  while (!await store.has("b")) await Promise.resolve();
  assert.deepEqual(await keysOf(store), ["a"]);
  await assert.rejects(failing, /no luck/);
});

packsTest("a put and a delete at once leave the value or none", async ({ store }) => {
  for (let turn = 0; turn < 10; turn++) {
    const putting = store.put("k", pattern(10));
    if (turn % 2) await Promise.resolve();
    await Promise.all([putting, store.delete("k")]);
    const left = await store.has("k");
    sameBytes(await store.get("k"), left ? pattern(10) : undefined);
    assert.deepEqual(await keysOf(store), left ? ["k"] : []);
  }
});

for (const [kind, makeIndex] of Object.entries(INDEXES)) {
  Deno.test(`packed with ${kind}: disposing writes what waits`, async () => {
    const { store, bytes } = await openPacks(makeIndex);
    bytes.before = ({ length }) => pause(length > 2_500_000 ? 30 : 5); // the value alone takes longest
    const settled = Promise.allSettled([
      ...Array.from({ length: 5 }, (_, i) => store.put(`k${i}`, pattern(50_000, i))),
      store.put("alone", pattern(3_000_000)),
    ]);
    await store[Symbol.asyncDispose]();
    const puts = bytes.count("put");
    assert.deepEqual((await inTime(settled)).map(({ status }) => status), Array(6).fill("fulfilled"));
    assert.equal(bytes.count("put"), puts, "something was written after it was disposed of");
    assert.equal(puts, 2);
  });
}

packsTest(
  "equal values put at once are written once, those that are kept by themselves, too",
  async (packs) => {
    const { store, bytes, names } = packs;
    for (const length of [1000, 3 * 1024 * 1024]) {
      const [before, value] = [bytes.count("put") + names.count("put", "pack/"), pattern(length)];
      await Promise.all(Array.from({ length: 5 }, () => store.put(`chunk/${length}`, value)));
      assert.equal(bytes.count("put") + names.count("put", "pack/") - before, 1, `${length} bytes`);
      sameBytes(await store.get(`chunk/${length}`), value);
    }
  },
);

Deno.test("who has no more to add is not made to wait for others, before and after saying so", async () => {
  const names = openMemory();
  const index = await indexOver(openMemory());
  await using store = await openPacked({ bytes: openMemory(), names, index, linger: 60_000, maxAge: 60_000 });
  const before = store.put("chunk/a", pattern(10));
  const calm = store.hurry!();
  const after = store.put("chunk/b", pattern(11));
  await inTime(Promise.all([before, after]), 5000);
  calm();
  let stored = false;
  const slow = store.put("chunk/c", pattern(12)).then(() => stored = true);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(stored, false);
  store.hurry!();
  await inTime(slow, 5000);
});

Deno.test("who has no more to add is not made to wait though others go on adding", async () => {
  const names = openMemory();
  const index = await indexOver(openMemory());
  await using store = await openPacked({ bytes: openMemory(), names, index, linger: 60_000, maxAge: 60_000 });
  let adding = true;
  const others = (async () => {
    for (let i = 0; adding; i++) {
      void store.put(`chunk/${i}`, pattern(10, i));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  })();
  const calm = store.hurry!();
  await inTime(store.put("chunk/k", pattern(11)), 5000);
  calm();
  adding = false;
  await others;
  store.hurry!();
});
