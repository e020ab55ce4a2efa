/** How the home in IndexedDB uses transactions: few, and durable ones. */
import { openIdb } from "../../src/adapters/idb/open_idb.ts";
import { hashOf, pattern } from "../contract/_byte_store_samples.ts";
import { ensure, ensureSame } from "../contract/case.ts";
import type { Suite } from "./_case.ts";
import { deleteDatabase, newName } from "./_homes.ts";

/** Runs a task; returns the durability of each transaction that it began to write with. */
async function durabilitiesOf(task: () => Promise<unknown>): Promise<string[]> {
  const transaction = IDBDatabase.prototype.transaction;
  const seen: string[] = [];
  IDBDatabase.prototype.transaction = function (stores, mode, options) {
    if (mode === "readwrite") seen.push(options?.durability ?? "default");
    return transaction.call(this, stores, mode, options);
  };
  try {
    await task();
  } finally {
    IDBDatabase.prototype.transaction = transaction;
  }
  return seen;
}

export const transactionCases: Suite = {
  name: "transactions of idb",
  cases: (["strict", "relaxed"] as const).map((durability) => ({
    name: `what is put at the same time shares ${durability} transactions`,
    async run() {
      const name = newName();
      {
        await using home = await openIdb({ indexedDB, name, durability });
        const keys = Array.from({ length: 500 }, (_, i) => hashOf(i));
        const tasks = [
          () => Promise.all(keys.map((key, i) => home.names.put(key, pattern(100, i)))),
          () => Promise.all(keys.map((key) => home.names.update(key, (value) => value!.subarray(1)))),
          () => Promise.all(keys.map((key, i) => home.bytes.put(`chunk/${key}`, pattern(10_000, i)))),
          () => Promise.all(keys.map((key) => home.bytes.delete(`chunk/${key}`))),
          () => Promise.all(keys.map((key) => home.names.delete(key))),
        ];
        for (const [i, task] of tasks.entries()) {
          const seen = await durabilitiesOf(task);
          ensure(seen.length > 0 && seen.length <= 5, `task ${i} took ${seen.length} transactions`);
          ensureSame([...new Set(seen)], [durability], "durability");
        }
      }
      await deleteDatabase(name);
    },
  })),
};
