/** Packed stores keep the contract of ByteStore, but for its one difference: the value of a key never changes. */
import assert from "node:assert/strict";
import { MAX_VALUE_LENGTH } from "../../src/castore/byte_store.ts";
import { LENGTHS, ODD_KEYS, pattern, rangesOf, sorted, text } from "../contract/_byte_store_samples.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { LONG_KEYS, packedContract, REPLACING } from "../contract/packed.ts";
import { MAX_PACKED_KEY_LENGTH } from "../../src/combinators/pack_index.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import { BrokenPromiseError } from "../contract/case.ts";
import { pause } from "../castore/_watched_store.ts";
import { testContract } from "../contract/run.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { INDEXES, keysOf, openPacks, packsTest } from "./_packs.ts";

for (const [kind, makeIndex] of Object.entries(INDEXES)) {
  const make = async () => (await openPacks(makeIndex)).store;
  testContract(`packed with ${kind}`, packedContract, make);
  for (const name of [...REPLACING, ...LONG_KEYS]) {
    Deno.test(`packed with ${kind} differs, so not: ${name}`, async () => {
      const excluded = byteStoreContract.find((other) => other.name === name);
      assert.ok(excluded, "there is no such case");
      await assert.rejects(excluded.run(make), LONG_KEYS.includes(name) ? TypeError : BrokenPromiseError);
    });
  }
}

packsTest("readers of a value that is put and deleted see it whole or not at all", async ({ store }) => {
  const value = pattern(300_000);
  let writing = true;
  const write = async () => {
    for (let turn = 0; turn < 10; turn++) {
      await store.put("value", value);
      await store.delete("value");
    }
    writing = false;
  };
  const read = async () => {
    while (writing) {
      const got = await store.get("value");
      if (got) sameBytes(got, value);
      const part = await store.get("value", { start: 5, end: 250_000 });
      if (part) sameBytes(part, value.slice(5, 250_000));
      await pause();
    }
  };
  await Promise.all([write(), read(), read()]);
});

// What those cases ask, of values that do not change.

packsTest(
  "a put of a key that is there writes nothing and keeps the value",
  async ({ store, bytes, names }) => {
    for (const length of [10, 100_000, 3_000_000]) {
      await store.put(`k${length}`, pattern(length, 1));
      const puts = bytes.count("put") + names.count("put");
      await Promise.all([1, 2, 3].map((seed) => store.put(`k${length}`, pattern(length + seed, seed))));
      assert.equal(bytes.count("put") + names.count("put"), puts);
      sameBytes(await store.get(`k${length}`), pattern(length, 1));
    }
  },
);

packsTest("ranges of values of any length, before and after they are written", async ({ store }) => {
  for (const length of LENGTHS) {
    const value = pattern(length, 9);
    const putting = store.put(`k${length}`, value);
    const check = async (when: string) => {
      for (const [start, end] of rangesOf(length)) {
        const got = await store.get(`k${length}`, { start, end });
        sameBytes(got, value.slice(start, end), `${start} to ${end} of ${length}, ${when}`);
      }
    };
    if (await store.has(`k${length}`)) await check("while it is written");
    await putting;
    await check("written");
  }
});

packsTest(
  "bytes passed may be changed once the call has returned, bytes got stay as they are",
  async ({ store }) => {
    for (const length of [10, 300_000, MAX_VALUE_LENGTH]) {
      const shared = pattern(length, 4);
      const putting = store.put(`k${length}`, shared);
      shared.fill(1);
      const pending = await store.get(`k${length}`);
      await putting;
      const written = await store.get(`k${length}`);
      // Other packs, which may be put together and read in the same memory.
      await Promise.all([1, 2, 3, 4, 5].map((i) => store.put(`${length}/${i}`, pattern(2_000_000, i))));
      for (let i = 1; i <= 5; i++) await store.get(`${length}/${i}`);
      await store.delete(`k${length}`);
      if (pending) sameBytes(pending, pattern(length, 4), `${length} bytes got before they were written`);
      sameBytes(written, pattern(length, 4), `${length} bytes`);
    }
  },
);

packsTest("a value that is a view is stored without its surroundings", async ({ store }) => {
  for (const length of [0, 10, 100_000, 2_500_000]) {
    const buffer = pattern(length + 20);
    await store.put(`view${length}`, buffer.subarray(7, 7 + length));
    sameBytes(await store.get(`view${length}`), buffer.slice(7, 7 + length));
  }
});

packsTest("update creates, leaves and removes, and what it throws is thrown", async ({ store }) => {
  assert.equal(await store.update("k", () => undefined), undefined);
  assert.equal(await store.has("k"), false);
  sameBytes(await store.update("k", () => text("one")), text("one"));
  sameBytes(await store.update("k", (current) => current), text("one"));
  const thrown = new RangeError("no");
  const failing = store.update("k", () => {
    throw thrown;
  });
  await assert.rejects(failing, thrown);
  sameBytes(await store.get("k"), text("one"));
  assert.equal(await store.update("k", () => undefined), undefined);
  assert.equal(await store.has("k"), false);
  assert.deepEqual(await keysOf(store), []);
});

packsTest(
  "a deleted value stays absent when its neighbours are read",
  async ({ store, bytes, names, index }) => {
    await Promise.all(["a", "b", "c"].map((key, i) => store.put(key, pattern(100, i))));
    const again = await openPacked({ bytes, names, index }); // one that has read nothing yet
    await again.delete("a");
    sameBytes(await again.get("b"), pattern(100, 1));
    assert.equal(await again.has("a"), false);
    sameBytes(await again.get("a"), undefined);
    const reading = again.get("c");
    await again.delete("b");
    await reading;
    sameBytes(await again.get("b"), undefined);
  },
);

packsTest("a value is not mistaken for a pack, whatever is in it", async ({ store, bytes }) => {
  await Promise.all([0, 1].map((i) => store.put(`k${i}`, pattern(2_000_000, i))));
  const forged = (await bytes.get((await keysOf(bytes))[0]))!;
  await store.delete("k0");
  await store.put("alone", forged);
  sameBytes(await store.get("alone"), forged);
  sameBytes(await store.get("k0"), undefined);
});

packsTest("of puts of one key at once one is written", async ({ store, bytes, names }) => {
  await Promise.all(Array.from({ length: 200 }, () => store.put("k", pattern(60_000))));
  sameBytes(await store.get("k"), pattern(60_000));
  assert.equal(bytes.count("put") + names.count("put"), 1);
  assert.equal(bytes.calls[0].length < 61_000, true, "the pack holds it more than once");
});

packsTest(
  "the longest key may have the longest value, and a longer key is a TypeError",
  async ({ store }) => {
    for (const length of [10, MAX_VALUE_LENGTH]) {
      const key = `${length}`.padEnd(MAX_PACKED_KEY_LENGTH, "k");
      await store.put(key, pattern(length));
      sameBytes(await store.get(key), pattern(length));
      for (const call of [store.put(key + "k", pattern(1)), store.get(key + "k"), store.has(key + "k")]) {
        await assert.rejects(call, TypeError);
      }
      await assert.rejects(store.delete(key + "k"), TypeError);
      await assert.rejects(store.update(key + "k", () => pattern(1)), TypeError);
    }
  },
);

packsTest("any two different keys name different values, and are listed in byte order", async ({ store }) => {
  const keys = ODD_KEYS.filter(({ length }) => length <= MAX_PACKED_KEY_LENGTH);
  await Promise.all(keys.map((key, i) => store.put(key, text(`${i} ${key}`))));
  for (const [i, key] of keys.entries()) sameBytes(await store.get(key), text(`${i} ${key}`), key);
  for (const prefix of ["", "a", "a/", "%", "~", "k", "/"]) {
    const got = await Array.fromAsync(store.list(prefix));
    assert.deepEqual(got, sorted(keys.filter((key) => key.startsWith(prefix))));
  }
  for (const [i, key] of keys.entries()) if (i % 2) await store.delete(key);
  for (const [i, key] of keys.entries()) {
    assert.equal(await store.has(key), i % 2 === 0, key);
    sameBytes(await store.get(key), i % 2 ? undefined : text(`${i} ${key}`), key);
  }
  assert.deepEqual(await keysOf(store), sorted(keys.filter((_, i) => i % 2 === 0)));
});

packsTest("a value that was deleted and put again is there", async ({ store }) => {
  for (const length of [10, 100_000, 3_000_000]) {
    await Promise.all([store.put("c/k", pattern(length)), store.put("c/n", pattern(20))]);
    await store.delete("c/k");
    await store.get("c/n");
    await store.put("c/k", pattern(length));
    assert.equal(await store.has("c/k"), true);
    sameBytes(await store.get("c/k"), pattern(length));
    await store.get("c/n");
    sameBytes(await store.get("c/k"), pattern(length));
    await Promise.all([store.delete("c/k"), store.delete("c/n")]);
  }
});
