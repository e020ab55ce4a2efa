/** The journal of packs, in an object store of its own. */
import type { Bytes } from "../../bytes/bytes.ts";
import {
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
    pack?: { key: string; small: boolean; bytes: Bytes },
  ): Promise<void> {
    const blob = pack && !pack.small ? new Blob([pack.bytes]) : undefined;
    const bytes = pack?.small ? pack.bytes.slice() : undefined;
    const appended: { number: number; change: PackChange }[] = [];
    await this.#transactions.write({
      stores: pack ? ["journal", pack.small ? "names" : "packs"] : ["journal"],
      bytes: pack?.bytes.length ?? 0,
      run: async (transaction, follow) => {
        await this.#catchUp(transaction, follower);
        const change = decide();
        if (!change) return;
        if (blob) follow(transaction.objectStore("packs").put(blob, pack!.key));
        if (bytes) follow(transaction.objectStore("names").put(bytes, pack!.key));
        const added = transaction.objectStore("journal").add(encodeChange(change));
        follow(added.then((number) => appended.push({ number, change })));
      },
      committed: () => follower.take(appended),
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
