/** Homes in IndexedDB for the contracts, each new and empty, whose database is deleted when they are disposed of. */
import { Connection } from "../../src/adapters/idb/connection.ts";
import { IdbJournal } from "../../src/adapters/idb/journal.ts";
import { openIdb } from "../../src/adapters/idb/open_idb.ts";
import { Transactions } from "../../src/adapters/idb/transactions.ts";
import { NameValues, PackValues } from "../../src/adapters/idb/values.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { openJournalIndex } from "../../src/combinators/journal_index.ts";
import type { PackIndex } from "../../src/combinators/pack_index.ts";
import { type Home, type Services, servicesOver } from "../../src/store/services.ts";
import type { Backing } from "../contract/_castore_samples.ts";

/** A home, the services over it, and what the cases about damage need. */
export interface BrowserHome extends Home, Services, Backing, AsyncDisposable {
  readonly bytes: ByteStore;
}

/** A name that no database has yet. */
export function newName(): string {
  return `test-${crypto.randomUUID()}`;
}

export function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
    // Told that it is blocked, it waits: what was closed a moment ago may still be ending.
  });
}

/** The home as everybody opens it. */
export async function openIdbHome(): Promise<BrowserHome> {
  const name = newName();
  const home = await openIdb({ indexedDB, name });
  return {
    ...servicesOver(home),
    bytes: home.bytes,
    corrupt: (part) => corrupt(name, part),
    async [Symbol.asyncDispose]() {
      await home[Symbol.asyncDispose]();
      await deleteDatabase(name);
    },
  };
}

export function openMemoryHome(): Promise<BrowserHome> {
  const [names, bytes] = [openMemory(), openMemory()];
  return Promise.resolve({
    ...servicesOver({ names, bytes }),
    bytes,
    corrupt: (part: Bytes) => corruptIn(part, bytes),
    [Symbol.asyncDispose]: async () => {},
  });
}

/** One of the home's ByteStores. */
export async function openStore(part: "names" | "bytes"): Promise<ByteStore> {
  const home = await openIdbHome();
  return withDisposal(home[part], () => home[Symbol.asyncDispose]());
}

export async function openIndex(): Promise<PackIndex> {
  const name = newName();
  const connection = await Connection.open({ indexedDB, name });
  const index = await openJournalIndex(new IdbJournal(new Transactions(connection, "strict")));
  return withDisposal(index, async () => {
    connection.close();
    await deleteDatabase(name);
  });
}

function withDisposal<T extends AsyncDisposable>(subject: T, dispose: () => PromiseLike<void>): T {
  return new Proxy(subject, {
    get(target, name) {
      if (name === Symbol.asyncDispose) return dispose;
      const member = target[name as keyof T] as unknown;
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** By a connection of its own, as the disk would. */
async function corrupt(name: string, part: Bytes): Promise<void> {
  const connection = await Connection.open({ indexedDB, name });
  try {
    const transactions = new Transactions(connection, "strict");
    await corruptIn(part, new PackValues(transactions), new NameValues(transactions));
  } finally {
    connection.close();
  }
}

async function corruptIn(part: Bytes, ...stores: ByteStore[]): Promise<void> {
  const head = part.subarray(0, 32);
  for (const store of stores) {
    for await (const key of store.list("")) {
      const value = await store.get(key);
      if (!value) continue;
      for (let at = value.indexOf(head[0]); at >= 0; at = value.indexOf(head[0], at + 1)) {
        if (!head.every((byte, i) => value[at + i] === byte)) continue;
        value[at] ^= 1;
        return await store.put(key, value);
      }
    }
  }
  throw new Error("Cannot damage the bytes: they are not stored as they are");
}
