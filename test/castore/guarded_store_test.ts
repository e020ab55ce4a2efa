/** A guarded store: a ByteStore like that below, which knows what was used lately. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { guarded } from "../../src/castore/guarded_store.ts";
import { chunkKey } from "../../src/castore/layout.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { testContract } from "../contract/run.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pause, WatchedStore } from "./_watched_store.ts";

testContract("guarded memory", byteStoreContract, () => Promise.resolve(guarded(openMemory())));

const keyOf = (i: number) => chunkKey(blake3(pattern(8, i)));

function clock() {
  let time = 0;
  return { now: () => time, pass: (milliseconds: number) => void (time += milliseconds) };
}

Deno.test("guarded: every kind of use is known, for the window at least and twice that at most", async () => {
  const uses: ((store: ReturnType<typeof guarded>, key: string) => unknown)[] = [
    (store, key) => store.put(key, pattern(3)),
    (store, key) => store.get(key),
    (store, key) => store.get(key, { start: 0, end: 1 }),
    (store, key) => store.has(key),
    (store, key) => store.atHand!(key),
    (store, key) => store.update(key, (current) => current),
  ];
  for (const [i, use] of uses.entries()) {
    for (const start of [0, 50, 99]) {
      const { now, pass } = clock();
      const store = guarded(openMemory(), { windowMs: 100, now });
      pass(start);
      await use(store, keyOf(i));
      assert.equal(store.usedLately(keyOf(i)), true);
      assert.equal(store.usedLately(keyOf(i + 1)), false);
      pass(99);
      assert.equal(store.usedLately(keyOf(i)), true, `use ${i} from ${start}`);
      pass(102);
      assert.equal(store.usedLately(keyOf(i)), false, `use ${i} from ${start}`);
    }
  }
});

Deno.test("guarded: what is used after a long silence is known, and what was before is not", async () => {
  const { now, pass } = clock();
  const store = guarded(openMemory(), { windowMs: 100, now });
  await store.has(keyOf(1));
  pass(1000);
  await store.has(keyOf(2));
  assert.deepEqual([1, 2].map((i) => store.usedLately(keyOf(i))), [false, true]);
});

Deno.test("guarded: while uses are held none is forgotten, and then they are", async () => {
  const { now, pass } = clock();
  const store = guarded(openMemory(), { windowMs: 100, now });
  await store.has(keyOf(1));
  {
    using _outer = store.holdUses();
    {
      using inner = store.holdUses();
      inner[Symbol.dispose]();
    }
    pass(10_000);
    await store.has(keyOf(2));
    pass(10_000);
    assert.deepEqual([1, 2].map((i) => store.usedLately(keyOf(i))), [true, true]);
  }
  pass(201);
  assert.deepEqual([1, 2].map((i) => store.usedLately(keyOf(i))), [false, false]);
});

Deno.test("guarded: listing, and what is done below, is no use", async () => {
  const inner = openMemory();
  await inner.put(keyOf(1), pattern(3));
  const store = guarded(inner);
  assert.deepEqual(await Array.fromAsync(store.list("")), [keyOf(1)]);
  await store.unguarded.get(keyOf(1));
  assert.equal(store.usedLately(keyOf(1)), false);
  assert.equal(await store.deleteUnused(keyOf(1)), true);
  assert.equal(await inner.has(keyOf(1)), false);
});

Deno.test("guarded: who uses a value that is being deleted waits, and then finds it gone or puts it anew", async () => {
  for (const use of ["get", "has", "put", "update", "delete"] as const) {
    const inner = new WatchedStore(openMemory());
    await inner.put(keyOf(1), pattern(3));
    const gate = Promise.withResolvers<void>();
    inner.before = ({ method }) => method === "delete" ? gate.promise : undefined;
    const store = guarded(inner);
    const deleting = store.deleteUnused(keyOf(1));
    const value = pattern(5);
    const done = use === "put"
      ? store.put(keyOf(1), value)
      : use === "update"
      ? store.update(keyOf(1), (current) => current)
      : store[use](keyOf(1));
    value.fill(0); // the caller's again
    assert.equal(store.usedLately(keyOf(1)), use !== "delete");
    let over = false;
    void done.then(() => over = true);
    await pause(5);
    assert.equal(over, false, use);
    gate.resolve();
    assert.equal(await deleting, true);
    const result = await done;
    if (use === "get" || use === "update") assert.equal(result, undefined);
    if (use === "has") assert.equal(result, false);
    if (use === "put") sameBytes(await inner.get(keyOf(1)), pattern(5));
  }
});

Deno.test("guarded: a value that was used is not deleted, and a delete that fails leaves it to be used", async () => {
  const inner = new WatchedStore(openMemory());
  const store = guarded(inner);
  await store.put(keyOf(1), pattern(3));
  assert.equal(await store.deleteUnused(keyOf(1)), false);
  await inner.put(keyOf(2), pattern(3));
  inner.before = ({ method }) => {
    if (method === "delete") throw new Error("no luck");
  };
  await assert.rejects(store.deleteUnused(keyOf(2)), /no luck/);
  sameBytes(await store.get(keyOf(2)), pattern(3));
});
