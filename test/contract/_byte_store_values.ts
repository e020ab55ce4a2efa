/**
 * ByteStore: keys and values, one call at a time.
 */
import { type ByteStore, MAX_VALUE_LENGTH } from "../../src/castore/byte_store.ts";
import { LimitError } from "../../src/errors.ts";
import {
  keysOf,
  KIB,
  LENGTHS,
  ODD_KEYS,
  pattern,
  rangesOf,
  sorted,
  text,
  UNLAWFUL_KEYS,
} from "./_byte_store_samples.ts";
import { type ContractCase, ensureRejects, ensureSame, promiseOf } from "./case.ts";

export const valueCases: readonly ContractCase<ByteStore>[] = [
  promiseOf("an absent value is undefined, and has() says false", async (store) => {
    await store.put("there", text("x"));
    for (const key of ["absent", "ther", "there/", "there2", "THERE"]) {
      ensureSame(await store.get(key), undefined, `get ${key}`);
      ensureSame(await store.get(key, { start: 0, end: 1 }), undefined, `a range of ${key}`);
      ensureSame(await store.has(key), false, `has ${key}`);
    }
  }),

  promiseOf("a value of any length is read back as it was put", async (store) => {
    for (const length of LENGTHS) {
      await store.put(`length/${length}`, pattern(length));
      ensureSame(await store.has(`length/${length}`), true, `has ${length} bytes`);
    }
    for (const length of LENGTHS) {
      ensureSame(await store.get(`length/${length}`), pattern(length), `${length} bytes`);
    }
  }),

  promiseOf(
    "a value that is a view into a larger buffer is stored without its surroundings",
    async (store) => {
      for (const length of [10, 100 * KIB]) {
        const buffer = pattern(length + 20);
        await store.put("view", buffer.subarray(7, 7 + length));
        ensureSame(await store.get("view"), buffer.slice(7, 7 + length), `view of ${length} bytes`);
      }
    },
  ),

  promiseOf("a value that is too long is a LimitError and nothing is written", async (store) => {
    const tooLong = new Uint8Array(MAX_VALUE_LENGTH + 1);
    await ensureRejects(store.put("new", tooLong), LimitError, "put of a new value");
    ensureSame(await store.has("new"), false, "has after a refused put");
    await store.put("old", text("old"));
    await ensureRejects(store.put("old", tooLong), LimitError, "put over a value");
    await ensureRejects(store.update("old", () => tooLong), LimitError, "update of a value");
    ensureSame(await store.get("old"), text("old"), "the value after refusals");
    ensureSame(await keysOf(store), ["old"], "keys after refusals");
  }),

  promiseOf("a key outside the grammar is a TypeError", async (store) => {
    for (const key of UNLAWFUL_KEYS) {
      const about = JSON.stringify(key.slice(-12));
      await ensureRejects(store.get(key), TypeError, `get ${about}`);
      await ensureRejects(store.has(key), TypeError, `has ${about}`);
      await ensureRejects(store.put(key, text("x")), TypeError, `put ${about}`);
      await ensureRejects(store.delete(key), TypeError, `delete ${about}`);
      await ensureRejects(store.update(key, () => text("x")), TypeError, `update ${about}`);
    }
    ensureSame(await keysOf(store), [], "keys after refusals");
  }),

  promiseOf("any two different keys name different values", async (store) => {
    await Promise.all(ODD_KEYS.map((key, i) => store.put(key, text(`${i} ${key}`))));
    for (const [i, key] of ODD_KEYS.entries()) {
      ensureSame(await store.get(key), text(`${i} ${key}`), `value of ${key}`);
    }
    for (const [i, key] of ODD_KEYS.entries()) {
      if (i % 2 === 0) await store.delete(key);
    }
    for (const [i, key] of ODD_KEYS.entries()) {
      ensureSame(await store.has(key), i % 2 === 1, `has ${key} when others were deleted`);
    }
    ensureSame(await keysOf(store), sorted(ODD_KEYS.filter((_, i) => i % 2 === 1)), "keys that are left");
  }),

  promiseOf("every character from ! to ~ may stand in a key", async (store) => {
    const characters = Array.from({ length: 0x7e - 0x20 }, (_, i) => String.fromCharCode(0x21 + i));
    const keys = characters.flatMap((
      character,
    ) => [character, `k${character}`, `key${character}y`, `k/${character}`]);
    await Promise.all(keys.map((key) => store.put(key, text(key))));
    for (const key of keys) ensureSame(await store.get(key), text(key), `value of ${key}`);
    ensureSame(await keysOf(store), sorted(keys), "all keys");
  }),

  promiseOf("a range gives those bytes, its end clamped", async (store) => {
    for (const length of [0, 1, 10, 60 * KIB, 64 * KIB + 1, 300 * KIB, MAX_VALUE_LENGTH]) {
      const value = pattern(length);
      await store.put("value", value);
      for (const [start, end] of rangesOf(length)) {
        const about = `bytes ${start} to ${end} of ${length}`;
        ensureSame(await store.get("value", { start, end }), value.slice(start, end), about);
      }
    }
  }),

  promiseOf("bytes passed may be reused once the call has returned its promise", async (store) => {
    for (const length of [10, 60 * KIB, 300 * KIB, MAX_VALUE_LENGTH]) {
      const shared = pattern(length);
      const first = store.put("first", shared);
      shared.fill(1);
      const second = store.put("second", shared);
      shared.fill(2);
      await Promise.all([first, second]);
      ensureSame(await store.get("first"), pattern(length), `first value of ${length} bytes`);
      ensureSame(
        await store.get("second"),
        new Uint8Array(length).fill(1),
        `second value of ${length} bytes`,
      );
    }
  }),

  promiseOf("bytes a caller got stay as they are", async (store) => {
    for (const length of [10, 300 * KIB]) {
      const value = pattern(length);
      await store.put("value", value);
      const whole = await store.get("value");
      const part = await store.get("value", { start: 2, end: 9 });
      const left = await store.update("value", (current) => current);
      const next = pattern(length, 7);
      const changed = await store.update("value", () => next);
      await store.put("value", pattern(length, 8));
      await store.delete("value");
      ensureSame(whole, value, "value got before it was replaced and removed");
      ensureSame(part, value.slice(2, 9), "part of it");
      ensureSame(left, value, "what a leaving update gave");
      ensureSame(changed, pattern(length, 7), "what a changing update gave");
    }
  }),

  promiseOf("a put replaces a shorter or a longer value", async (store) => {
    for (const [i, length] of [5, 0, 70 * KIB, 1, 1024 * KIB, 60 * KIB, 1024 * KIB, 200 * KIB, 5].entries()) {
      await store.put("value", pattern(length, i));
      ensureSame(await store.get("value"), pattern(length, i), `value ${i}, of ${length} bytes`);
      ensureSame(await keysOf(store), ["value"], `keys after value ${i}`);
    }
  }),

  promiseOf("a deleted value is gone, and may be put again", async (store) => {
    for (const length of [0, 10, 300 * KIB]) {
      await store.put("value", pattern(length));
      await store.delete("value");
      ensureSame(await store.get("value"), undefined, `a deleted value of ${length} bytes`);
      ensureSame(await store.has("value"), false, "has of a deleted value");
      ensureSame(await keysOf(store), [], "keys after a delete");
    }
    await store.put("value", text("again"));
    ensureSame(await store.get("value"), text("again"), "a value put again");
  }),

  promiseOf("what is at hand is the value, and gone when the value is", async (store) => {
    const atHand = (key: string) => store.atHand?.(key) ?? "nothing said";
    const isValueOrNothing = (about: string) => {
      const found = atHand("value");
      if (found !== "nothing said") ensureSame(found, pattern(1000), about);
    };
    await store.put("neighbour", text("stays"));
    ensureSame(atHand("value"), "nothing said", "before it was put");
    await store.put("value", pattern(1000));
    isValueOrNothing("put");
    await store.get("value");
    isValueOrNothing("read");
    await store.delete("value");
    ensureSame(atHand("value"), "nothing said", "a deleted value");
  }),

  promiseOf("deleting what is absent is fine", async (store) => {
    await store.put("a/b", text("stays"));
    await Promise.all(["a", "a/", "a/b/c", "b", "a/b2"].map((key) => store.delete(key)));
    ensureSame(await store.get("a/b"), text("stays"), "its neighbour");
  }),
];
