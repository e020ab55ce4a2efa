/** The ByteStores of a database: `names` as bytes, `packs` as `Blob`s. */
import type { Bytes } from "../../bytes/bytes.ts";
import {
  type ByteRange,
  type ByteStore,
  checkKey,
  checkValue,
  MAX_KEY_LENGTH,
} from "../../castore/byte_store.ts";
import { DamageError, UnsupportedError } from "../../errors.ts";
import type { Transactions } from "./transactions.ts";

/** Keys read at once while listing. */
const PAGE = 1000;

/** Values in one object store. Disposing it does nothing: who opened the database closes it. */
abstract class Values<Store extends "names" | "packs"> implements ByteStore {
  constructor(readonly transactions: Transactions, readonly store: Store) {}

  abstract get(key: string, range?: ByteRange): Promise<Bytes | undefined>;
  abstract put(key: string, value: Bytes): Promise<void>;
  abstract update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined>;

  async has(key: string): Promise<boolean> {
    checkKey(key);
    return await this.transactions.read(this.store, (store) => store.getKey(key)) !== undefined;
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.transactions.write({
      stores: [this.store],
      bytes: 0,
      run: (transaction, follow) => follow(transaction.objectStore(this.store).delete(key)),
    });
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    // No lawful key begins with such a prefix.
    if (prefix.length > MAX_KEY_LENGTH || /[^!-~]/.test(prefix)) return;
    const end = prefix + "\x7f"; // above every character a key may hold
    for (let from = prefix, after = false;; after = true) {
      const range = IDBKeyRange.bound(from, end, after);
      const keys = await this.transactions.read(this.store, (store) => store.getAllKeys(range, PAGE));
      yield* keys as string[];
      if (keys.length < PAGE) return;
      from = keys[keys.length - 1] as string;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Small values, which change. */
export class NameValues extends Values<"names"> {
  constructor(transactions: Transactions) {
    super(transactions, "names");
  }

  async get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    checkKey(key);
    const value = await this.transactions.read("names", (store) => store.get(key)) as Bytes | undefined;
    return range ? value?.subarray(range.start, Math.max(range.start, range.end)) : value;
  }

  async put(key: string, value: Bytes): Promise<void> {
    checkKey(key);
    checkValue(value);
    const copy = value.slice(); // a view would be stored with all it is a view of
    await this.transactions.write({
      stores: ["names"],
      bytes: copy.length,
      run: (transaction, follow) => follow(transaction.objectStore("names").put(copy, key)),
    });
  }

  async update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined> {
    checkKey(key);
    // No other transaction can come between: those that write to one store follow each other, whichever tab they are of.
    return await this.transactions.write({
      stores: ["names"],
      bytes: 0,
      async run(transaction, follow) {
        const names = transaction.objectStore("names");
        const current = await names.get(key);
        const next = change(current);
        if (next === current) return current;
        if (next) {
          checkValue(next);
          follow(names.put(next.slice(), key));
        } else {
          follow(names.delete(key));
        }
        return next;
      },
    });
  }
}

/** Packs. */
export class PackValues extends Values<"packs"> {
  constructor(transactions: Transactions) {
    super(transactions, "packs");
  }

  async get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    checkKey(key);
    const blob = await this.transactions.read("packs", (store) => store.get(key)) as Blob | undefined;
    if (!blob) return undefined;
    const part = range
      ? blob.slice(Math.min(range.start, blob.size), Math.max(range.start, Math.min(range.end, blob.size)))
      : blob;
    try {
      return new Uint8Array(await part.arrayBuffer());
    } catch (cause) {
      throw await this.transactions.whyUnreadable(
        new DamageError("pack", key, `Cannot read ${key}: the browser has lost its bytes`, { cause }),
      );
    }
  }

  async put(key: string, value: Bytes): Promise<void> {
    checkKey(key);
    checkValue(value);
    const blob = new Blob([value]);
    await this.transactions.write({
      stores: ["packs"],
      bytes: value.length,
      run: (transaction, follow) => follow(transaction.objectStore("packs").put(blob, key)),
    });
  }

  /** A transaction ends while the bytes of a `Blob` are waited for. */
  update(): Promise<Bytes | undefined> {
    return Promise.reject(new UnsupportedError("Cannot change a pack: packs are only put and deleted"));
  }
}
