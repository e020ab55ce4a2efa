/**
 * ByteStore: `list`.
 */
import { type ByteStore } from "../../src/castore/byte_store.ts";
import { hashOf, keysOf, LONG, ODD_KEYS, pattern, sorted, text } from "./_byte_store_samples.ts";
import { type ContractCase, ensureSame, promiseOf } from "./case.ts";

export const listCases: readonly ContractCase<ByteStore>[] = [
  promiseOf("list() gives the keys that begin with the prefix, in byte order", async (store) => {
    ensureSame(await keysOf(store), [], "keys of an empty store");
    await Promise.all(ODD_KEYS.map((key) => store.put(key, text("x"))));
    const all = sorted(ODD_KEYS);
    const prefixes = new Set([
      "",
      "zzz",
      "a0b",
      LONG + "12",
      "x/".repeat(1500),
      " ",
      "é",
      "a\u{1F600}",
      "\x7f",
    ]);
    for (const key of ODD_KEYS) {
      for (const length of [1, 2, 3, 79, 80, 81, 82, 83, key.length]) prefixes.add(key.slice(0, length));
    }
    for (const prefix of prefixes) {
      const want = all.filter((key) => key.startsWith(prefix));
      ensureSame(await keysOf(store, prefix), want, `keys under ${JSON.stringify(prefix)}`);
    }
  }),

  promiseOf("list() gives each of many keys once", async (store) => {
    const keys = Array.from({ length: 1500 }, (_, i) => `${i % 3 ? "many" : "more/of"}/${hashOf(i)}`);
    await Promise.all(keys.map((key, i) => store.put(key, pattern(i % 50))));
    ensureSame(await keysOf(store), sorted(keys), "all keys");
    const under = sorted(keys.filter((key) => key.startsWith("more/")));
    ensureSame(await keysOf(store, "more/"), under, "keys under more/");
  }),

  promiseOf("ending a list() early leaves the store in order", async (store) => {
    const keys = Array.from({ length: 300 }, (_, i) => hashOf(i));
    await Promise.all(keys.map((key) => store.put(key, text("x"))));
    const want = sorted(keys);
    for (let turn = 0; turn < 20; turn++) {
      const got: string[] = [];
      for await (const key of store.list("")) {
        got.push(key);
        if (got.length > turn) break;
      }
      ensureSame(got, want.slice(0, turn + 1), "the first keys");
    }
    const unread = store.list("")[Symbol.asyncIterator]();
    await unread.return?.();
    await store.put("~", text("y"));
    ensureSame(await keysOf(store), [...want, "~"], "keys after loops that were left");
  }),

  promiseOf("keys that stay are listed once while others come and go", async (store) => {
    const stay = Array.from({ length: 300 }, (_, i) => `k/${hashOf(i)}/stay`);
    const go = stay.map((key) => key.replace("stay", "go"));
    await Promise.all([...stay, ...go].map((key) => store.put(key, text("x"))));
    const got: string[] = [];
    for await (const key of store.list("k/")) {
      got.push(key);
      if (got.length % 10 === 1) {
        const i = got.length % go.length;
        await Promise.all([store.delete(go[i]), store.put(`${stay[i]}/come`, text("y"))]);
      }
    }
    ensureSame(got, sorted([...new Set(got)]), "listed keys, in order and once");
    ensureSame(got.filter((key) => key.endsWith("/stay")), sorted(stay), "keys that stayed");
  }),

  promiseOf("lists may run next to each other", async (store) => {
    const keys = Array.from({ length: 200 }, (_, i) => `${i % 2 ? "odd" : "even"}/${hashOf(i)}`);
    await Promise.all(keys.map((key) => store.put(key, text("x"))));
    const [all, odd, even] = await Promise.all([keysOf(store), keysOf(store, "odd"), keysOf(store, "even")]);
    ensureSame(all, sorted(keys), "all keys");
    ensureSame([...even, ...odd], all, "both parts");
  }),
];
