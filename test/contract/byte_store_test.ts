/**
 * The contract can fail: each of these stores breaks one promise, and the contract notices.
 */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { byteStoreContract } from "./byte_store.ts";

type Change = (current: Bytes | undefined) => Bytes | undefined;

/** Faults by what they do: each gets a sound store and returns what is wrong with the faulty one. */
const faults: Record<string, (sound: ByteStore) => Partial<ByteStore>> = {
  "folds the case of keys": (s) => ({
    get: (k, r) => s.get(k.toLowerCase(), r),
    has: (k) => s.has(k.toLowerCase()),
    put: (k, v) => s.put(k.toLowerCase(), v),
  }),
  "drops a last slash": (s) => ({ put: (k, v) => s.put(k.length > 1 ? k.replace(/\/$/, "") : k, v) }),
  "cuts keys at 255 characters": (s) => ({ put: (k, v) => s.put(k.slice(0, 255), v) }),
  "takes a key with a space": (s) => ({ put: (k, v) => s.put(k.replace(" ", "_"), v) }),
  "cuts values at 65,536 bytes": (s) => ({ put: (k, v) => s.put(k, v.slice(0, 65536)) }),
  "refuses the longest value": (s) => ({
    put: (k, v) => v.length === 4 << 20 ? Promise.reject(new RangeError()) : s.put(k, v),
  }),
  "takes no bytes for absence": (s) => ({
    get: async (k, r) => (await s.get(k, r))?.length ? s.get(k, r) : undefined,
  }),
  "stores the whole buffer of a view": (s) => ({ put: (k, v) => s.put(k, new Uint8Array(v.buffer)) }),
  "copies late": (s) => ({ put: async (k, v) => (await Promise.resolve(), await s.put(k, v)) }),
  "reads a range one byte long": (s) => ({
    get: (k, r) => s.get(k, r && { start: r.start, end: r.end + 1 }),
  }),
  "does not replace": (s) => ({ put: async (k, v) => await s.has(k) ? undefined : await s.put(k, v) }),
  "keeps the end of a longer value": (s) => ({
    put: async (k, v) => {
      const copy = v.slice();
      await s.update(k, (old) => old && old.length > v.length ? (old.set(copy), old.slice()) : copy);
    },
  }),
  "does not delete": () => ({ delete: () => Promise.resolve() }),
  "throws when absent": (s) => ({
    delete: async (k) => await s.has(k) ? await s.delete(k) : await Promise.reject(new Error("absent")),
  }),
  "deletes what is below": (s) => ({
    delete: async (k) => {
      for await (const key of s.list(k)) await s.delete(key);
    },
  }),
  "lists without order": (s) => ({
    async *list(prefix) {
      yield* (await Array.fromAsync(s.list(prefix))).reverse();
    },
  }),
  "lists by segments": (s) => ({
    async *list(prefix) {
      const order = (key: string) => key.replaceAll("/", "\0");
      yield* (await Array.fromAsync(s.list(prefix))).sort((a, b) => order(a) < order(b) ? -1 : 1);
    },
  }),
  "lists whole segments only": (s) => ({
    async *list(prefix) {
      const whole = prefix === "" || prefix.endsWith("/") ? prefix : prefix + "/";
      yield* s.list(whole);
    },
  }),
  "lists a thousand": (s) => ({
    async *list(prefix) {
      let count = 0;
      for await (const key of s.list(prefix)) if (count++ < 1000) yield key;
    },
  }),
  "loses every thousandth put": (s) => {
    let count = 0;
    return { put: (k, v) => ++count % 1000 === 0 ? Promise.resolve() : s.put(k, v) };
  },
  "shows a value while it is written": (s) => ({
    put: async (k, v) => {
      const copy = v.slice();
      await s.put(k, copy.slice(0, copy.length >> 1));
      await new Promise((resolve) => setTimeout(resolve));
      await s.put(k, copy);
    },
  }),
  "updates by get and put": (s) => ({ update: (k, change) => unguarded(s, k, change) }),
  "writes what change() left in its argument": (s) => ({
    update: (k, change) =>
      s.update(k, (old) => {
        try {
          return change(old);
        } catch {
          return old?.slice();
        }
      }),
  }),
  "resolves an update to the old value": (s) => ({
    update: async (k, change) => {
      const old = await s.get(k);
      await s.update(k, change);
      return old;
    },
  }),
};

async function unguarded(store: ByteStore, key: string, change: Change): Promise<Bytes | undefined> {
  const next = change(await store.get(key));
  if (next) await store.put(key, next);
  else await store.delete(key);
  return next;
}

/** The sound store with some methods replaced; the others keep their `this`. */
function faulty(sound: ByteStore, fault: (sound: ByteStore) => Partial<ByteStore>): ByteStore {
  return {
    get: (key, range) => sound.get(key, range),
    has: (key) => sound.has(key),
    put: (key, value) => sound.put(key, value),
    delete: (key) => sound.delete(key),
    list: (prefix) => sound.list(prefix),
    update: (key, change) => sound.update(key, change),
    [Symbol.asyncDispose]: () => sound[Symbol.asyncDispose](),
    ...fault(sound),
  };
}

for (const [name, fault] of Object.entries(faults)) {
  Deno.test(`the contract notices a store that ${name}`, async () => {
    await assert.rejects(async () => {
      for (const { run } of byteStoreContract) await run(() => Promise.resolve(faulty(openMemory(), fault)));
    });
  });
}

Deno.test("the wrapper of the faulty stores is sound without a fault", async () => {
  for (const { run } of byteStoreContract) await run(() => Promise.resolve(faulty(openMemory(), () => ({}))));
});
