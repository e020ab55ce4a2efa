/**
 * ByteStore: `update`, and calls at the same time.
 */
import { type Bytes, equals } from "../../src/bytes/bytes.ts";
import { type ByteStore } from "../../src/castore/byte_store.ts";
import { ensureWhole, hashOf, keysOf, KIB, pattern, read, text } from "./_byte_store_samples.ts";
import { type ContractCase, ensure, ensureRejects, ensureSame, promiseOf } from "./case.ts";

export const togetherCases: readonly ContractCase<ByteStore>[] = [
  promiseOf("two thousand puts at once are all stored", async (store) => {
    const numbers = Array.from({ length: 2000 }, (_, i) => i);
    await Promise.all(numbers.map((i) => store.put(`at-once/${hashOf(i)}`, pattern(i, i))));
    const got = await Promise.all(numbers.map((i) => store.get(`at-once/${hashOf(i)}`)));
    for (const i of numbers) ensureSame(got[i], pattern(i, i), `value ${i}`);
    await Promise.all(numbers.map((i) => store.delete(`at-once/${hashOf(i)}`)));
    ensureSame(await keysOf(store), [], "keys after as many deletes");
  }),

  promiseOf("long and short values put at once are all stored", async (store) => {
    const lengths = Array.from({ length: 60 }, (_, i) => i % 4 === 0 ? 400 * KIB + i : i * KIB);
    await Promise.all(lengths.map((length, i) => store.put(`mixed/${i}`, pattern(length, i))));
    const got = await Promise.all(lengths.map((_, i) => store.get(`mixed/${i}`)));
    for (const [i, length] of lengths.entries()) ensureSame(got[i], pattern(length, i), `value ${i}`);
  }),

  promiseOf("of puts to one key at once, one is left whole", async (store) => {
    const lengths = [10, 200 * KIB, 0, 60 * KIB, 1024 * KIB, 11, 300 * KIB, 12];
    for (let turn = 0; turn < 3; turn++) {
      await Promise.all(lengths.map((length, i) => store.put("value", pattern(length, i))));
      ensureWhole(await store.get("value"), lengths, false);
      ensureSame(await keysOf(store), ["value"], "keys");
    }
  }),

  promiseOf("a reader sees the old value, the new one or none, never a part", async (store) => {
    const lengths = [300 * KIB, 10, 1024 * KIB, 200 * KIB, 64 * KIB, 301 * KIB];
    let writing = true;
    async function write(): Promise<void> {
      for (let turn = 0; turn < 5; turn++) {
        for (const [i, length] of lengths.entries()) await store.put("value", pattern(length, i));
        await store.delete("value");
      }
      writing = false;
    }
    async function read(): Promise<void> {
      while (writing) {
        ensureWhole(await store.get("value"), lengths, true);
        const part = await store.get("value", { start: 5, end: 250 * KIB });
        const fits = part === undefined ||
          lengths.some((length, i) => equals(part, pattern(length, i).slice(5, 250 * KIB)));
        ensure(fits, `${part?.length} bytes were read that are a range of no value`);
      }
    }
    await Promise.all([write(), read(), read()]);
  }),

  promiseOf("a put and a delete at once leave the value or none", async (store) => {
    for (let turn = 0; turn < 6; turn++) {
      const length = turn % 2 ? 10 : 200 * KIB;
      await store.put("value", pattern(length, 0));
      await Promise.all([store.put("value", pattern(length, 1)), store.delete("value")]);
      const left = await store.get("value");
      ensure(left === undefined || equals(left, pattern(length, 1)), `${left?.length} bytes are left`);
      ensureSame(await store.has("value"), left !== undefined, "has");
      ensureSame(await keysOf(store), left ? ["value"] : [], "keys");
    }
  }),

  promiseOf(
    "update() creates, changes, removes and leaves a value, and resolves to what stands",
    async (store) => {
      const seen: (Bytes | undefined)[] = [];
      const to = (next: Bytes | undefined) => store.update("value", (current) => (seen.push(current), next));
      ensureSame(await to(undefined), undefined, "leaving absent");
      ensureSame(await store.has("value"), false, "has when it was left absent");
      ensureSame(await to(text("one")), text("one"), "creating");
      ensureSame(await to(text("two")), text("two"), "changing");
      ensureSame(await store.get("value"), text("two"), "the changed value");
      ensureSame(await store.update("value", (current) => current), text("two"), "leaving");
      ensureSame(await to(new Uint8Array(0)), new Uint8Array(0), "changing to no bytes");
      ensureSame(await store.get("value"), new Uint8Array(0), "the value of no bytes");
      ensureSame(await to(undefined), undefined, "removing");
      ensureSame(await store.has("value"), false, "has of a removed value");
      ensureSame(await keysOf(store), [], "keys after removing");
      const want = [undefined, undefined, text("one"), text("two"), new Uint8Array(0)];
      ensureSame(seen, want, "what change() got");
    },
  ),

  promiseOf("what change() throws is thrown, and nothing changes", async (store) => {
    const thrown = new RangeError("no");
    const change = (current: Bytes | undefined) => {
      current?.fill(0);
      throw thrown;
    };
    ensureSame(
      await ensureRejects(store.update("new", change), RangeError, "creating"),
      thrown,
      "what was thrown",
    );
    ensureSame(await store.has("new"), false, "has");
    for (const length of [10, 200 * KIB]) {
      await store.put("value", pattern(length));
      ensureSame(
        await ensureRejects(store.update("value", change), RangeError, "changing"),
        thrown,
        "thrown",
      );
      ensureSame(await store.get("value"), pattern(length), "the value");
      await store.update("value", () => text("next"));
      ensureSame(await store.get("value"), text("next"), "a later update");
    }
  }),

  promiseOf("updates at once all count", async (store) => {
    const increment = (current: Bytes | undefined) => text(String(Number(read(current) || "0") + 1));
    await Promise.all(Array.from({ length: 50 }, () => store.update("counter", increment)));
    ensureSame(read(await store.get("counter")), "50", "the counter");
  }),

  promiseOf("updates of long values at once all count", async (store) => {
    const append = (current: Bytes | undefined) => pattern((current?.length ?? 0) + 50 * KIB);
    const results = await Promise.all(Array.from({ length: 12 }, () => store.update("value", append)));
    ensureSame(await store.get("value"), pattern(600 * KIB), "the value");
    const lengths = results.map((value) => value!.length / KIB).sort((a, b) => a - b);
    ensureSame(lengths, Array.from({ length: 12 }, (_, i) => 50 * (i + 1)), "what the updates resolved to");
    ensureSame(
      await store.update("value", () => text("short")),
      text("short"),
      "a short value for a long one",
    );
    ensureSame(await store.get("value"), text("short"), "the short value");
  }),

  promiseOf("a put or delete next to updates of its key is not lost", async (store) => {
    const increment = (current: Bytes | undefined) => text(String(Number(read(current) || "0") + 1));
    for (let turn = 0; turn < 10; turn++) {
      await store.put("counter", text("0"));
      const updates = () => Array.from({ length: 5 }, () => store.update("counter", increment));
      await Promise.all([...updates(), store.put("counter", text("100")), ...updates()]);
      const count = Number(read(await store.get("counter")));
      ensure(
        count >= 100 && count <= 110,
        `the counter is ${count} after a put of 100 next to 10 increments`,
      );
      const gone = [...updates(), store.delete("counter"), store.update("counter", (current) => current)];
      await Promise.all(gone);
      const left = Number(read(await store.get("counter")) || "0");
      ensure(left <= 5, `the counter is ${left} after a delete next to 5 increments of ${count}`);
    }
  }),
];
