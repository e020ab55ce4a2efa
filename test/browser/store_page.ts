/**
 * The script of a page that has a store in IndexedDB and does what a test asks, through `tab`. With `#write` and
 * `#check` it goes by itself, for a browser that is killed meanwhile: it tells its server what was stored, or is missing.
 */
import type { IDBPObjectStore } from "idb";
import { Connection, type Schema } from "../../src/adapters/idb/connection.ts";
import { openIdb } from "../../src/adapters/idb/open_idb.ts";
import type { IdbHome, IdbOptions } from "../../src/adapters/idb/open_idb.ts";
import { type Bytes, equals, fromText, toText } from "../../src/bytes/bytes.ts";
import { hashOf, pattern } from "../contract/_byte_store_samples.ts";
import { deleteDatabase } from "./_homes.ts";

export interface Thrown {
  readonly name: string;
  readonly message: string;
}

/** What became of a number of calls at once. */
export interface Outcome {
  /** Which of them, by their number, did what they should. */
  readonly done: number[];
  /** Why others failed, each kind once. */
  readonly thrown: Thrown[];
}

const gone: Thrown[] = [];
let home: IdbHome | undefined;

function thrownBy(error: unknown): Thrown {
  const { name, message } = error as Error;
  return { name, message };
}

async function outcomeOf(
  numbers: readonly number[],
  call: (number: number) => Promise<boolean>,
): Promise<Outcome> {
  const thrown = new Map<string, Thrown>();
  const done = await Promise.all(numbers.map(async (number) => {
    try {
      return await call(number) ? [number] : [];
    } catch (error) {
      thrown.set(String(error), thrownBy(error));
      return [];
    }
  }));
  return { done: done.flat(), thrown: [...thrown.values()] };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** The key of a value of the `bytes`, and of the `names`. */
const keyOf = (number: number) => `chunk/${hashOf(number).repeat(4)}`;
const nameOf = (number: number) => `path/${hashOf(number)}`;

export const tab = {
  /** Opens the store, and says whether it is new, or what was thrown. */
  async open(name: string, options: Partial<IdbOptions> = {}): Promise<boolean | Thrown> {
    try {
      home = await openIdb({
        indexedDB,
        name,
        onGone: (error) => gone.push(thrownBy(error)),
        ...options,
      });
      return home.created;
    } catch (error) {
      return thrownBy(error);
    }
  },
  async close(): Promise<void> {
    await home![Symbol.asyncDispose]();
  },
  /** Puts values into the bytes, from one number to before another, all at once. */
  put: (from: number, to: number, length: number) =>
    outcomeOf(range(from, to), async (number) => {
      await home!.bytes.put(keyOf(number), pattern(length, number));
      return true;
    }),
  putNames: (from: number, to: number, length: number) =>
    outcomeOf(range(from, to), async (number) => {
      await home!.names.put(nameOf(number), pattern(length, number));
      return true;
    }),
  /** Which values are there and what they should be. A wrong one is thrown. */
  read: (from: number, to: number, length: number) =>
    outcomeOf(
      range(from, to),
      async (number) => isWhole(await home!.bytes.get(keyOf(number)), length, number),
    ),
  readNames: (from: number, to: number, length: number) =>
    outcomeOf(
      range(from, to),
      async (number) => isWhole(await home!.names.get(nameOf(number)), length, number),
    ),
  has: (from: number, to: number) => outcomeOf(range(from, to), (number) => home!.bytes.has(keyOf(number))),
  delete: (from: number, to: number) =>
    outcomeOf(range(from, to), async (number) => {
      await home!.bytes.delete(keyOf(number));
      return true;
    }),
  /** Deletes values and gives back their room, as somebody does who needs it. */
  makeRoom: (from: number, to: number) =>
    outcomeOf([from], async () => {
      await home!.makeRoom(async () => {
        await Promise.all(range(from, to).map((number) => home!.bytes.delete(keyOf(number))));
        await home!.bytes.compact();
      });
      return true;
    }),
  /** Bytes of values, and of others that are deleted and still take room. */
  used: async () => await home!.bytes.use(),
  /** How many pieces the reserve has, as another program sees it. */
  reserve: (name: string) => piecesOf(name, () => {}),
  /** Removes them, as if the store were of a time when there was none. */
  removeReserve: (name: string) => piecesOf(name, (packs, key) => void packs.delete(key)),
  /** Adds one to a number, so many times at once. */
  count: (times: number) =>
    outcomeOf(range(0, times), async () => {
      await home!.names.update(
        "counter",
        (value) => fromText(String(Number(value ? toText(value) : "0") + 1)),
      );
      return true;
    }),
  counted: async () => toText((await home!.names.get("counter"))!),
  /** How many keys are listed. */
  listed: async () => (await Array.fromAsync(home!.bytes.list(""))).length,
  /** What `onGone` was told. */
  gone: () => gone,
  /** Opens the database as another program, which never lets go of it. */
  async hold(name: string, version?: number): Promise<string> {
    const request = indexedDB.open(name, version);
    return await new Promise((resolve, reject) => {
      request.onsuccess = () => {
        (globalThis as { held?: IDBDatabase }).held = request.result; // or it would be collected, and closed
        resolve("opened");
      };
      request.onerror = () => reject(request.error);
    });
  },
  /** Closes what was held. */
  release(): void {
    (globalThis as { held?: IDBDatabase }).held!.close();
  },
  deleteDatabase,
  /** Begins to delete it, and does not wait. */
  beginToDelete(name: string): void {
    indexedDB.deleteDatabase(name);
  },
};

async function piecesOf(
  name: string,
  use: (packs: IDBPObjectStore<Schema, ["packs"], "packs", "readwrite">, key: string) => void,
): Promise<number> {
  const connection = await Connection.open({ indexedDB, name });
  const transaction = connection.database.transaction("packs", "readwrite");
  const keys = (await transaction.store.getAllKeys()).filter((key) => key.startsWith("reserve/"));
  for (const key of keys) use(transaction.store, key);
  await transaction.done;
  connection.close();
  return keys.length;
}

function isWhole(value: Bytes | undefined, length: number, number: number): boolean {
  if (value && !equals(value, pattern(length, number))) throw new Error(`value ${number} is another`);
  return value !== undefined;
}

export type Tab = typeof tab;

async function tell(path: string, what: unknown): Promise<void> {
  await fetch(new URL(path, location.origin), { method: "POST", body: JSON.stringify(what) });
}

/** Lengths of the values that are written until the browser is killed: in packs with others, alone, in small packs. */
export const LENGTHS = [100, 4096, 70_000, 300_000, 900_000];

/** Stores values from a number on, for ever. Each is told once it is stored. */
async function writeForEver(first: number): Promise<void> {
  await tab.open("killed");
  const deleted = first;
  await home!.bytes.put(keyOf(deleted), pattern(LENGTHS[deleted % LENGTHS.length], deleted));
  await home!.bytes.delete(keyOf(deleted));
  await tell("/deleted", [deleted]);
  const lanes = Array.from({ length: 24 }, async (_, lane) => {
    for (let number = first + 1 + lane;; number += 24) {
      const length = LENGTHS[number % LENGTHS.length];
      if (lane % 4 === 0) await home!.names.put(nameOf(number), pattern(length, number));
      else await home!.bytes.put(keyOf(number), pattern(length, number));
      await tell("/stored", [lane % 4 === 0 ? "name" : "value", number]);
    }
  });
  await Promise.all(lanes);
}

/** Looks for all that was told to be stored. */
async function check(): Promise<void> {
  const { stored, deleted } = await (await fetch("/all")).json() as {
    stored: ["name" | "value", number][];
    deleted: number[];
  };
  const created = await tab.open("killed");
  const missing: unknown[] = [];
  for (const [kind, number] of stored) {
    const value = kind === "name"
      ? await home!.names.get(nameOf(number))
      : await home!.bytes.get(keyOf(number));
    if (!value || !equals(value, pattern(LENGTHS[number % LENGTHS.length], number))) {
      missing.push([kind, number]);
    }
  }
  for (const number of deleted) if (await home!.bytes.has(keyOf(number))) missing.push(["deleted", number]);
  const again = keyOf(1e9);
  await home!.bytes.put(again, pattern(100));
  await tell("/checked", { created, missing, listed: await tab.listed() });
}

if (typeof document !== "undefined") {
  Object.assign(globalThis, { tab });
  const [deed, first] = location.hash.slice(1).split("-");
  const alone = deed === "write" ? writeForEver(Number(first)) : deed === "check" ? check() : undefined;
  alone?.catch((error) => tell("/failure", { message: String(error?.stack ?? error) }));
}
