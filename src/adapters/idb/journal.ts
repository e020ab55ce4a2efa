/** The journal of packs, in an object store of its own. */
import type { Bytes } from "../../bytes/bytes.ts";
import {
  type ChangedPack,
  decodeChange,
  encodeChange,
  type JournalFollower,
  type NumberedChange,
  type PackChange,
  type PackJournal,
} from "../../combinators/pack_journal.ts";
import type { Transactions, WriteTransaction } from "./transactions.ts";

/** Changes read at once: of packs of small files some megabytes. */
const PAGE = 256;

type ReadPage = (range: IDBKeyRange, count: number) => Promise<[keys: number[], values: Bytes[]]>;

export class IdbJournal implements PackJournal {
  #transactions: Transactions;
  /** Transactions whose first change has told the follower of what came before. */
  #caughtUp = new WeakSet<WriteTransaction>();

  constructor(transactions: Transactions) {
    this.#transactions = transactions;
  }

  async follow(follower: JournalFollower): Promise<void> {
    await this.#transactions.read("journal", (journal) => {
      return readOn(follower, (range, count) => {
        return Promise.all([journal.getAllKeys(range, count), journal.getAll(range, count)]) as ReturnType<
          ReadPage
        >;
      });
    });
  }

  async append(
    follower: JournalFollower,
    decide: () => PackChange | undefined,
    { pack, drop }: { pack?: ChangedPack; drop?: () => readonly number[] } = {},
  ): Promise<void> {
    const store = pack?.small ? "names" : "packs";
    // A view would be stored with all it is a view of.
    const value = pack?.bytes && (pack.small ? pack.bytes.slice() : new Blob([pack.bytes]));
    const appended: { number: number; change: PackChange }[] = [];
    await this.#transactions.write({
      stores: pack ? ["journal", store] : ["journal"],
      bytes: pack?.bytes?.length ?? 0,
      makesRoom: !pack?.bytes, // something is forgotten, moved or removed
      run: async (transaction, follow) => {
        appended.length = 0; // of a transaction that was aborted
        await this.#catchUp(transaction, follower);
        const change = decide();
        if (!change) return;
        const journal = transaction.objectStore("journal");
        if (value) follow(transaction.objectStore(store).put(value as Bytes & Blob, pack!.key));
        else if (pack) follow(transaction.objectStore(store).delete(pack.key));
        for (const number of drop?.() ?? []) follow(journal.delete(number));
        follow(journal.add(encodeChange(change)).then((number) => appended.push({ number, change })));
      },
      committed: () => follower.take(appended),
    });
  }

  async drop(numbers: readonly number[]): Promise<void> {
    await this.#transactions.write({
      stores: ["journal"],
      bytes: 0,
      run: (transaction, follow) => {
        for (const number of numbers) follow(transaction.objectStore("journal").delete(number));
      },
    });
  }

  async get(number: number): Promise<PackChange | undefined> {
    const bytes = await this.#transactions.read("journal", (journal) => journal.get(number));
    return bytes && decodeChange(bytes as Bytes, number);
  }

  /** Once in a transaction, and before it appends: what it appends is not durable yet. */
  async #catchUp(transaction: WriteTransaction, follower: JournalFollower): Promise<void> {
    if (this.#caughtUp.has(transaction)) return;
    const journal = transaction.objectStore("journal");
    await readOn(follower, (range, count) => {
      return Promise.all([journal.getAllKeys(range, count), journal.getAll(range, count)]);
    });
    this.#caughtUp.add(transaction);
  }
}

async function readOn(follower: JournalFollower, read: ReadPage): Promise<void> {
  for (let after = follower.seen;;) {
    const [keys, values] = await read(IDBKeyRange.lowerBound(after, true), PAGE);
    const changes = values.map((value, i): NumberedChange => ({
      number: keys[i],
      change: decodeChange(value, keys[i]),
    }));
    follower.take(changes);
    if (keys.length < PAGE) return;
    after = keys[keys.length - 1];
  }
}
