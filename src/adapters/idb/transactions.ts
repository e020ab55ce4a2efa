/**
 * Changes that are asked for at the same time share a transaction, and so do reads: a strict transaction waits for the disk,
 * and one wait for a hundred values costs as much as for one.
 */
import { type IDBPObjectStore, type IDBPTransaction, unwrap } from "idb";
import type { Connection, Schema, StoreName } from "./connection.ts";
import { MOST_PIECES, Reserve } from "./reserve.ts";

/** Changes in one transaction, and bytes after which no more are added. */
const MOST_CHANGES = 1000;
const MOST_BYTES = 16 * 1024 * 1024;
/** The same where room is short. */
const FEW_BYTES = 1024 * 1024;
/** Transactions under way: one that writes, and one that waits for it with its requests made. */
const TRANSACTIONS = 2;
/** Milliseconds between tries of what makes room: a browser needs a moment to see what was removed. Six seconds in all. */
const PAUSES = [0, 50, 100, 200, 400, 800, 1600, 3200];

export type WriteTransaction = IDBPTransaction<Schema, StoreName[], "readwrite">;

/** A part of a transaction. */
export interface Change<T> {
  /** What it touches. */
  readonly stores: readonly StoreName[];
  /** Bytes it writes, about. */
  readonly bytes: number;
  /** Whether there is more room in the end because of it. */
  readonly makesRoom?: boolean;
  /**
   * Makes requests. It may wait for them, and for nothing else. It is called again when its transaction was aborted for want of
   * room. What it throws is thrown, and the rest of the transaction goes
   * on: it throws before it has changed anything. Requests that nobody waits for are handed to `follow`.
   */
  run(transaction: WriteTransaction, follow: (request: Promise<unknown>) => void): T | Promise<T>;
  /** Called when the transaction is durable. */
  committed?(): void;
}

interface Queued extends Change<unknown> {
  readonly outcome: PromiseWithResolvers<unknown>;
}

export class Transactions {
  #connection: Connection;
  #durability: "strict" | "relaxed";
  #queue: Queued[] = [];
  #underWay = new Set<Promise<void>>();
  #starting = false;
  readonly #reserve = new Reserve();
  /** How many make room now. */
  #makingRoom = 0;
  /** By store, the reading transaction that others may join in this turn of the event loop. */
  #reading = new Map<StoreName, IDBPObjectStore<Schema, [StoreName], StoreName, "readonly">>();

  constructor(connection: Connection, durability: "strict" | "relaxed") {
    this.#connection = connection;
    this.#durability = durability;
  }

  /** Makes a change. Resolves to what it returned when its transaction is complete. */
  write<T>(change: Change<T>): Promise<T> {
    const outcome = Promise.withResolvers<unknown>();
    this.#queue.push({ ...change, outcome });
    if (!this.#starting) {
      this.#starting = true;
      queueMicrotask(() => {
        this.#starting = false;
        this.#start();
      });
    }
    return outcome.promise as Promise<T>;
  }

  /** Reads from one store. `use` makes requests at once, or while it waits for nothing but those it made. */
  async read<T>(
    store: StoreName,
    use: (store: IDBPObjectStore<Schema, [StoreName], StoreName, "readonly">) => Promise<T>,
  ): Promise<T> {
    try {
      if (this.#connection.gone) throw this.#connection.gone;
      return await use(this.#reader(store));
    } catch (error) {
      throw await this.#connection.explain(error);
    }
  }

  /** What to tell when a `Blob` that was read here has no bytes any more: this, unless the whole store is gone. */
  async whyUnreadable(error: Error): Promise<unknown> {
    return await this.#connection.mayBeGone() ?? error;
  }

  /** Tells how many bytes the store holds when it is opened, so that it gets its reserve, as far as there is room. */
  async holds(bytes: number): Promise<void> {
    this.#reserve.count(bytes);
    await this.#fillReserve();
  }

  /**
   * Does something that makes room in the end. Until it is done, every change that finds none gets that of the reserve; then the
   * reserve is filled again, as far as there is room.
   */
  async makeRoom<T>(work: () => Promise<T>): Promise<T> {
    this.#makingRoom++;
    try {
      return await work();
    } finally {
      this.#makingRoom--;
      if (this.#makingRoom === 0) await this.#fillReserve();
    }
  }

  /** Resolves when nothing is under way or waits to be. */
  async idle(): Promise<void> {
    while (this.#queue.length > 0 || this.#underWay.size > 0) {
      await Promise.all(this.#underWay);
      await Promise.resolve();
    }
  }

  #reader(store: StoreName): IDBPObjectStore<Schema, [StoreName], StoreName, "readonly"> {
    let reader = this.#reading.get(store);
    if (!reader) {
      const transaction = this.#connection.database.transaction(store, "readonly");
      transaction.done.catch(() => {}); // whoever made the request is told
      reader = transaction.objectStore(store);
      this.#reading.set(store, reader);
      queueMicrotask(() => this.#reading.delete(store));
    }
    return reader;
  }

  #start(): void {
    while (this.#queue.length > 0 && this.#underWay.size < TRANSACTIONS) {
      const run = this.#run(this.#takeGroup()).then(() => {
        this.#underWay.delete(run);
        this.#start();
      });
      this.#underWay.add(run);
    }
  }

  #takeGroup(): Queued[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && count < MOST_CHANGES && bytes < MOST_BYTES) {
      bytes += this.#queue[count++].bytes;
    }
    return this.#queue.splice(0, count);
  }

  async #run(group: Queued[]): Promise<void> {
    let outcomes: PromiseSettledResult<unknown>[];
    try {
      outcomes = await this.#store(group);
    } catch (error) {
      return isFull(error) ? await this.#retry(group, error) : await this.#reject(group, error);
    }
    settle(group, outcomes);
  }

  /** Makes the changes of a group. What fills the store comes with what its reserve lacks, unless somebody makes room. */
  async #store(group: readonly Queued[]): Promise<PromiseSettledResult<unknown>[]> {
    const bytes = group.reduce((sum, { bytes }) => sum + bytes, 0);
    const fills = bytes > 0 && this.#makingRoom === 0 && this.#reserve.isDue(bytes);
    const outcomes = fills ? await this.#withReserve(group, bytes) : await this.#commit(group);
    this.#reserve.count(bytes);
    return outcomes;
  }

  async #withReserve(group: readonly Queued[], bytes: number): Promise<PromiseSettledResult<unknown>[]> {
    const filling = this.#reserve.filling(bytes);
    const [, ...outcomes] = await this.#commit([filling, ...group]);
    filling.committed?.();
    return outcomes;
  }

  /** Puts the pieces that the reserve lacks, one by one until there is no room. */
  async #fillReserve(): Promise<void> {
    for (
      let pieces = 0;
      pieces < MOST_PIECES && this.#reserve.isShort() && !this.#connection.gone;
      pieces++
    ) {
      const filling = this.#reserve.filling(0, 1);
      try {
        await this.#commit([filling]);
        filling.committed?.();
      } catch (error) {
        if (!isFull(error)) throw await this.#connection.explain(error);
        return await this.#sweep([filling]);
      }
    }
  }

  /**
   * Makes the changes of a group that found no room once more. A browser may keep what an aborted transaction wrote until the
   * next one is complete, and count it; and what makes room must not fail because of what it shared a transaction with, nor for want
   * of room at all: the reserve is there for that.
   */
  async #retry(group: Queued[], error: unknown): Promise<void> {
    let full = false;
    for (const part of inParts(group)) {
      try {
        if (this.#makingRoom > 0 || part.some(({ makesRoom }) => makesRoom)) {
          settle(part, await this.#storeInTheEnd(part));
          continue;
        }
        if (full && part[0].bytes > 0) throw error;
        await this.#sweep(part);
        settle(part, await this.#store(part));
      } catch (again) {
        full ||= isFull(again);
        await this.#reject(part, again);
      }
    }
    await this.#sweep(group).catch(() => {}); // the next transaction does it as well, or tells what is wrong
  }

  /** Makes changes with the room of the reserve. */
  async #storeInTheEnd(part: Queued[]): Promise<PromiseSettledResult<unknown>[]> {
    let full: unknown;
    for (const pause of PAUSES) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      const releasing = this.#reserve.releasing();
      await this.#commit([releasing]); // also where there is none: after a complete transaction the browser looks how much room there is
      releasing.committed?.();
      try {
        return await this.#store(part);
      } catch (error) {
        if (!isFull(error)) throw error;
        full = error;
      }
    }
    throw full;
  }

  /** Completes a transaction that does nothing. */
  async #sweep(group: readonly Change<unknown>[]): Promise<void> {
    await this.#commit([{ stores: storesOf(group), bytes: 0, run: () => {} }]);
  }

  async #reject(group: Queued[], error: unknown): Promise<void> {
    const reason = await this.#connection.explain(error);
    for (const { outcome } of group) outcome.reject(reason);
  }

  async #commit(group: readonly Change<unknown>[]): Promise<PromiseSettledResult<unknown>[]> {
    if (this.#connection.gone) throw this.#connection.gone;
    const transaction = this.#connection.database.transaction(storesOf(group), "readwrite", {
      durability: this.#durability,
    });
    // The transaction itself does not tell which request failed, nor always why.
    let failure: unknown;
    const follow = (request: Promise<unknown>) => void request.catch((error) => failure ??= error);
    follow(transaction.done);
    const outcomes: PromiseSettledResult<unknown>[] = [];
    for (const change of group) {
      try {
        const value = change.run(transaction, follow);
        outcomes.push({ status: "fulfilled", value: value instanceof Promise ? await value : value });
      } catch (reason) {
        if (reason instanceof DOMException) failure ??= reason;
        outcomes.push({ status: "rejected", reason });
      }
    }
    try {
      transaction.commit();
    } catch { /* it has failed, which is told next */ }
    try {
      await transaction.done;
    } catch (error) {
      throw unwrap(transaction).error ?? failure ?? error;
    }
    return outcomes;
  }
}

function storesOf(group: readonly Change<unknown>[]): StoreName[] {
  return [...new Set(group.flatMap(({ stores }) => stores))];
}

/** The changes that write nothing, then the others, a few at once. */
function inParts(group: readonly Queued[]): Queued[][] {
  const parts = [group.filter(({ bytes }) => bytes === 0)];
  let filled = FEW_BYTES;
  for (const change of group.filter(({ bytes }) => bytes > 0)) {
    if (filled >= FEW_BYTES) {
      parts.push([]);
      filled = 0;
    }
    parts.at(-1)!.push(change);
    filled += change.bytes;
  }
  return parts.filter(({ length }) => length > 0);
}

function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === "QuotaExceededError";
}

function settle(group: readonly Queued[], outcomes: readonly PromiseSettledResult<unknown>[]): void {
  for (const [i, { committed, outcome }] of group.entries()) {
    const result = outcomes[i];
    try {
      if (result.status === "rejected") throw result.reason;
      committed?.();
      outcome.resolve(result.value);
    } catch (error) {
      outcome.reject(error);
    }
  }
}
