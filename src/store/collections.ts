/**
 * Garbage collection as all who have a store open see it: one at a time, and nothing becomes visible that one took a part of.
 *
 * Under the key `collection` stands a number that grows whenever somebody begins to delete and again when they stop for a
 * while: odd means that things are being deleted now. Who writes a record that speaks of stored contents reads it before the
 * first of them is put or found, and again after the record is written. If it is the same even number, nothing was deleted in between,
 * and whoever deletes later reads the record first. If not, the writer waits until what is being deleted now is deleted, looks
 * whether all is still there, and takes the record back if it is not. So even with processes that know nothing of each
 * other, what stays visible is whole.
 *
 * A collector that was not seen for two minutes counts as dead, and the next one goes on with its number. A process that may
 * be stopped for longer in the middle of its work, as a page in the background may, has to hold a lock of its platform
 * around a collection.
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { COLLECTION_KEY } from "../castore/layout.ts";
import { StoreBusyError } from "../errors.ts";
import { type CollectionRecord, decodeCollection, encodeCollection } from "./messages.ts";

/** Milliseconds after which a collector that is not seen counts as dead. */
const DEAD_MS = 120_000;
/** Milliseconds between two looks at whether others have stopped deleting; processes cannot tell each other. */
const LOOK_MS = 50;
/** Milliseconds between two signs of life. */
const BEAT_MS = 15_000;

function read(value: Bytes | undefined): CollectionRecord {
  return value ? decodeCollection(value) : { sequence: 0, owner: "", seenAt: 0 };
}

/** Whether somebody collects. A time that is far ahead is no better than one long ago: clocks are set. */
function isAlive({ owner, seenAt }: CollectionRecord, now: () => number): boolean {
  return owner !== "" && Math.abs(now() - seenAt) < DEAD_MS;
}

/** The number now. */
export async function sequenceOf(names: ByteStore): Promise<number> {
  return read(await names.get(COLLECTION_KEY)).sequence;
}

/** Whether anything was deleted since the number was `before`. Resolves when nothing is being deleted that was when this was called. */
export async function deletedSince(
  before: number,
  names: ByteStore,
  now: () => number = Date.now,
): Promise<boolean> {
  const first = read(await names.get(COLLECTION_KEY));
  if (first.sequence === before && before % 2 === 0) return false;
  for (let seen = first;; seen = read(await names.get(COLLECTION_KEY))) {
    const deleting = seen.sequence % 2 === 1 && isAlive(seen, now);
    if (!deleting || seen.sequence !== first.sequence) return true;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * Writes a record that speaks of stored contents. `write` puts or finds the contents and writes the record last; `confirm` is
 * called when something was deleted meanwhile: it looks whether all is still there, and if not takes the record back and throws.
 */
export async function writeRecord<T>(
  names: ByteStore,
  write: () => Promise<T>,
  confirm: (written: T) => Promise<void>,
  now: () => number = Date.now,
): Promise<T> {
  const before = await sequenceOf(names);
  const written = await write();
  // Whoever begins to delete later reads the record first, so one look is enough.
  if (await deletedSince(before, names, now)) await confirm(written);
  return written;
}

/**
 * For who just opened a store that nobody else has open: whoever collected garbage there is dead, and nobody has to wait for
 * them, or to look again at what they wrote.
 */
export async function buryCollector(names: ByteStore): Promise<void> {
  if (read(await names.get(COLLECTION_KEY)).owner === "") return;
  await (await CollectionClaim.take(names, true)).end();
}

/** The right to collect garbage in a store. */
export class CollectionClaim {
  #names: ByteStore;
  #owner: string;
  #now: () => number;
  #seenAt: number;

  private constructor(names: ByteStore, owner: string, now: () => number) {
    this.#names = names;
    this.#owner = owner;
    this.#now = now;
    this.#seenAt = now();
  }

  /**
   * Takes the right. Throws {@link StoreBusyError} while somebody else has it, unless the caller is `alone`: then who had it
   * last is dead.
   */
  static async take(
    names: ByteStore,
    alone: boolean,
    now: () => number = Date.now,
  ): Promise<CollectionClaim> {
    const owner = crypto.randomUUID();
    await names.update(COLLECTION_KEY, (value) => {
      const record = read(value);
      if (!alone && isAlive(record, now)) {
        throw new StoreBusyError(
          "Cannot collect garbage: another collection is under way; wait until it ends",
        );
      }
      return encodeCollection({ sequence: record.sequence, owner, seenAt: now() });
    });
    return new CollectionClaim(names, owner, now);
  }

  /** Does something that deletes. Throws {@link StoreBusyError} when the right was lost meanwhile. */
  async deleting<T>(work: () => Promise<T>): Promise<T> {
    await this.#change((sequence) => sequence + 1 + sequence % 2); // past that of a collector that died
    try {
      return await work();
    } finally {
      await this.#change((sequence) => sequence + sequence % 2);
    }
  }

  /** Called often, tells others now and then that the owner lives. Throws {@link StoreBusyError} when the right was lost. */
  async beat(): Promise<void> {
    if (this.#now() - this.#seenAt >= BEAT_MS) await this.#change((sequence) => sequence);
  }

  /** Gives the right back. */
  async end(): Promise<void> {
    await this.#names.update(COLLECTION_KEY, (value) => {
      const record = read(value);
      if (record.owner !== this.#owner) return value;
      return encodeCollection({ ...record, sequence: record.sequence + record.sequence % 2, owner: "" });
    });
  }

  async #change(next: (sequence: number) => number): Promise<void> {
    this.#seenAt = this.#now();
    await this.#names.update(COLLECTION_KEY, (value) => {
      const record = read(value);
      if (record.owner !== this.#owner) {
        throw new StoreBusyError(
          "Cannot go on collecting garbage: it took too long, and another collection began",
        );
      }
      return encodeCollection({ sequence: next(record.sequence), owner: record.owner, seenAt: this.#seenAt });
    });
  }
}
