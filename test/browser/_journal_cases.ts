/** What the journal in IndexedDB does beyond an index: packs come and go with their changes, in one transaction. */
import { Connection } from "../../src/adapters/idb/connection.ts";
import { IdbJournal } from "../../src/adapters/idb/journal.ts";
import { Transactions } from "../../src/adapters/idb/transactions.ts";
import { NameValues, PackValues } from "../../src/adapters/idb/values.ts";
import { type JournalIndex, openJournalIndex } from "../../src/combinators/journal_index.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { ensureSame } from "../contract/case.ts";
import type { Suite } from "./_case.ts";
import { deleteDatabase, newName } from "./_homes.ts";

interface Opened extends AsyncDisposable {
  readonly index: JournalIndex;
  readonly packs: ByteStore;
  readonly names: ByteStore;
  readonly changes: () => Promise<number>;
}

async function open(name: string): Promise<Opened> {
  const connection = await Connection.open({ indexedDB, name });
  const transactions = new Transactions(connection, "strict");
  return {
    index: await openJournalIndex(new IdbJournal(transactions)),
    packs: new PackValues(transactions),
    names: new NameValues(transactions),
    changes: () => transactions.read("journal", (journal) => journal.count()),
    [Symbol.asyncDispose]: () => Promise.resolve(connection.close()),
  };
}

const entries = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ key: `k${i}`, offset: i, length: 1 }));

export const journalCases: Suite = {
  name: "journal in idb",
  cases: [
    {
      name: "a pack is stored and removed with its change; not if another connection has put a value there",
      async run() {
        const name = newName();
        {
          await using one = await open(name);
          await using other = await open(name);
          await one.index.addWith("pack/large", false, entries(2), pattern(100_000));
          await one.index.addWith(
            "pack/small",
            true,
            entries(1).map((entry) => ({ ...entry, key: "s" })),
            pattern(50),
          );
          ensureSame(await other.packs.get("pack/large"), pattern(100_000), "the large pack");
          ensureSame(
            await other.packs.get("pack/large", { start: 9, end: 12 }),
            pattern(100_000).slice(9, 12),
            "a part",
          );
          ensureSame(await other.names.get("pack/small"), pattern(50), "the small pack");
          for (const key of ["k0", "k1", "s"]) await one.index.delete(key);
          await other.index.addWith("pack/large", false, entries(2), pattern(100_000));
          await Promise.all([one.index.removePack("pack/large"), one.index.removePack("pack/small")]);
          ensureSame(await other.packs.has("pack/large"), true, "the pack with values");
          ensureSame(await other.names.has("pack/small"), false, "the pack without");
          for (const key of ["k0", "k1"]) await other.index.delete(key);
          await other.index.removePack("pack/large");
          ensureSame(await one.packs.has("pack/large"), false, "the pack without values now");
          ensureSame((await Array.fromAsync(one.index.packs())).length, 0, "packs");
        }
        await deleteDatabase(name);
      },
    },
    {
      name: "changes that make no difference are dropped at opening",
      async run() {
        const name = newName();
        {
          await using one = await open(name);
          await one.index.addWith("pack/a", false, entries(400), pattern(400));
          await one.index.addWith("pack/b", true, [{ key: "stays", offset: 0, length: 1 }], pattern(1));
          await Promise.all(entries(400).map(({ key }) => one.index.delete(key)));
          await one.index.removePack("pack/a");
          ensureSame(await one.changes(), 402, "changes"); // two packs, of which one is dropped, and 401
          await using fresh = await open(name);
          ensureSame(await fresh.changes(), 2, "changes afterwards");
          ensureSame(await Array.fromAsync(fresh.index.list("")), ["stays"], "keys");
          await using again = await open(name);
          ensureSame(await Array.fromAsync(again.index.list("")), ["stays"], "keys");
        }
        await deleteDatabase(name);
      },
    },
  ],
};
