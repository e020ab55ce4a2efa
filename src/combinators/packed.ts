/**
 * Content-addressed values in packs. Thousands of small values become a few large ones: one write for each 4 MiB, values
 * of one tree next to each other.
 *
 * It keeps the ByteStore contract with a difference that content addressing allows: the value of a key never changes, so a
 * `put` of a key that is there writes nothing, and `update` can create and remove but not replace. And keys have at most
 * 488 characters, for those of its parts are made of them.
 *
 * A `put` joins an open pack and resolves when that pack is durable and its entries are in the index. Values are packed with
 * those whose keys begin alike (up to the first `/`): who reads one chunk will read the next, and who reads a Directory, the
 * next Directory. Packs are ended when they are full, when nothing was added for a moment, or after a while. A pack of at
 * most 48 KiB (or what else is said) goes to the store of small packs (the `names` of a home), so that little uploads do not
 * leave little files. A
 * crash between pack and index leaves a pack nobody refers to: its values are put again, or found when the index is
 * completed at the next opening.
 *
 * `delete` forgets the index entry and notes that; the bytes stay in their pack until `compact` gives their room back
 * (`compaction.ts`). Until then an index made anew from nothing knows them again, which does no harm: `forgotten.ts`.
 */
import { Budget } from "../bytes/budget.ts";
import { BufferPool } from "../bytes/buffer_pool.ts";
import type { Bytes } from "../bytes/bytes.ts";
import { type ByteRange, checkKey, checkValue, MAX_VALUE_LENGTH } from "../castore/byte_store.ts";
import { chunkKey } from "../castore/layout.ts";
import type { StoredForm } from "../castore/stored_form.ts";
import { type Compacted, Compaction, type CompactOptions, type PackHouse } from "./compaction.ts";
import { Forgotten } from "./forgotten.ts";
import { PackReader, PACKS } from "./pack_reader.ts";
import { OpenPack } from "./open_pack.ts";
import { type FrameEncoder, framePack } from "./pack_frames.ts";
import { type PackedParts, type PackedStore, type Packing, packingOf, useOf } from "./packing.ts";
import { ALONE, rebuildIndex } from "./rebuild_index.ts";
import { MAX_PACKED_KEY_LENGTH, type PackEntry, type PackLocation } from "./pack_index.ts";

export type { PackedParts, PackedStore, PackedUse, Packing } from "./packing.ts";

/** Milliseconds without a new value after which packs are ended while values are looked up in an index that is far away. */
const LOOKING_LINGER_MS = 20;
/** While somebody waits who has no more to add: the same, and milliseconds after which packs are ended though values keep coming. */
const HURRIED_LINGER_MS = 2, HURRIED_AGE_MS = 100;
/** What the keys of values begin with that are compressed: the rest is mostly digests. */
const COMPRESSED = chunkKey(new Uint8Array(0));
/** Bytes left for the table and trailer in a pack of one value. */
const ROOM_FOR_TABLE = 1024;
/** Bytes of packs that are written at once. */
const WRITE_WINDOW = 4 * MAX_VALUE_LENGTH;

/** Opens a packed store; completes its index if it is not. Disposing it writes what waits, and disposes `index`, but neither of the stores. */
export async function openPacked(parts: PackedParts): Promise<PackedStore> {
  const ways = packingOf(parts);
  const { index, names } = parts;
  // An index that is never made anew needs no notes, and opening it asks for nothing more.
  if (index.durable && index.complete) return new Packed(parts, ways, Forgotten.nothing());
  const forgotten = await Forgotten.open(names);
  if (!index.complete) await rebuildIndex(parts, forgotten);
  return new Packed(parts, ways, index.durable ? Forgotten.nothing() : forgotten);
}

class Packed implements PackedStore {
  #parts: PackedParts;
  #reader: PackReader;
  /** By what keys begin with. */
  #open = new Map<string, OpenPack>();
  /** Values that are in no index yet. */
  #pending = new Map<string, { pack: OpenPack; entry: PackEntry }>();
  #writing = new Set<Promise<void>>();
  /** Of these, values that are kept by themselves. */
  #alone = new Map<string, Promise<void>>();
  /** Who waits for what they put and has no more. */
  #hurries = 0;
  /** Puts that are still being looked up. */
  #lookups = new Set<Promise<unknown>>();
  #ways: Packing;
  #buffers: BufferPool;
  #writes: Budget;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastAdded = 0;
  #forgotten: Forgotten;
  /** Packs that are being written, by their names: two of one name are the same. */
  #underWay = new Map<string, number>();
  /** Packs that compaction is at work on: removing them, or noting what is forgotten of them. */
  #altering = new Map<string, Promise<void>>();
  #compacting: Promise<unknown> | undefined;
  readonly taken = { offered: 0, added: 0 };
  /** Packs that were written since compaction began, or were being written then. */
  #wrote: Set<string> | undefined;

  readonly readAhead: number | undefined;

  constructor(parts: PackedParts, ways: Packing, forgotten: Forgotten) {
    this.#parts = parts;
    this.#ways = ways;
    this.#forgotten = forgotten;
    this.#reader = new PackReader(parts, ways.packsKept, parts.frames?.decoder);
    this.readAhead = parts.readAhead;
    const writes = Math.ceil(WRITE_WINDOW / ways.packLength);
    this.#buffers = new BufferPool(ways.packLength, writes);
    this.#writes = new Budget(writes);
  }

  async get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    checkKey(key, MAX_PACKED_KEY_LENGTH);
    const pending = this.#pending.get(key);
    if (pending) {
      const value = pending.pack.writer.value(pending.entry);
      return range ? value.slice(range.start, Math.max(range.start, range.end)) : value.slice();
    }
    const found = this.#reader.find(key, range);
    if (found) return found;
    return await this.#locate(key, (location) => this.#reader.read(key, location, range));
  }

  /** Reads a value where the index says it is. */
  async #locate<T>(key: string, read: (location: PackLocation) => Promise<T>): Promise<T | undefined> {
    const { index } = this.#parts;
    for (let location = await index.get(key); location;) {
      try {
        return await read(location);
      } catch (error) {
        // Its pack may have been compacted between the look-up and the reading.
        const now = await (index.confirm ? index.confirm(key) : index.get(key));
        if (now?.pack === location.pack) throw error;
        location = now;
      }
    }
    return undefined;
  }

  /** A value in a pack read lately; one that is being written is none. */
  atHand(key: string): Bytes | undefined {
    checkKey(key, MAX_PACKED_KEY_LENGTH);
    return this.#reader.find(key);
  }

  async getStored(keys: readonly string[]): Promise<(StoredForm | undefined)[]> {
    const found = keys.map((key) => {
      checkKey(key, MAX_PACKED_KEY_LENGTH);
      return this.#pending.has(key) ? undefined : this.#reader.findStored(key);
    });
    return await Promise.all(keys.map((key, i) => found[i] ?? this.#getStored(key)));
  }

  async #getStored(key: string): Promise<StoredForm | undefined> {
    await this.#pending.get(key)?.pack.written.promise; // it has no form before
    return this.#reader.findStored(key) ??
      await this.#locate(key, (location) => this.#reader.readStored(key, location));
  }

  async has(key: string): Promise<boolean> {
    checkKey(key, MAX_PACKED_KEY_LENGTH);
    if (this.#pending.has(key)) return true;
    const { index } = this.#parts;
    const location = await index.get(key);
    return (location && index.confirm ? await index.confirm(key) : location) !== undefined;
  }

  put(key: string, value: Bytes): Promise<void> {
    try {
      checkKey(key, MAX_PACKED_KEY_LENGTH);
      checkValue(value);
      this.taken.offered += value.length;
      const pending = this.#pending.get(key);
      if (pending) return pending.pack.written.promise;
      const { index } = this.#parts;
      const location = index.confirm ? index.confirm(key) : index.get(key);
      if (location instanceof Promise) return this.#putUnless(location, key, value.slice());
      return location ? Promise.resolve() : this.#add(key, value);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async delete(key: string): Promise<void> {
    checkKey(key, MAX_PACKED_KEY_LENGTH);
    await this.#pending.get(key)?.pack.written.promise;
    await this.#parts.index.delete(key);
    this.#reader.forget(key);
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    await this.#flush();
    yield* this.#parts.index.list(prefix);
  }

  async update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined> {
    const current = await this.get(key);
    const next = change(current);
    if (next === undefined) {
      if (current) await this.delete(key);
      return undefined;
    }
    await this.put(key, next);
    return current ?? next;
  }

  async compact(options: CompactOptions = {}): Promise<Compacted> {
    while (this.#compacting) await this.#compacting.catch(() => {}); // whoever asked for that one hears of it
    await this.#flush();
    const compacting = this.#compact(options).finally(() => this.#compacting = this.#wrote = undefined);
    this.#compacting = compacting;
    return await compacting;
  }

  use(): ReturnType<PackedStore["use"]> {
    return useOf(this.#parts.index);
  }

  async lengthOf(key: string): Promise<number | undefined> {
    return (this.#pending.get(key)?.entry ?? await this.#parts.index.get(key))?.length;
  }

  async *lengths(prefix: string): ReturnType<PackedStore["lengths"]> {
    await this.#flush();
    yield* this.#parts.index.lengths(prefix);
  }

  async #compact(options: CompactOptions): Promise<Compacted> {
    const wrote = this.#wrote = new Set(this.#underWay.keys());
    const { bytes, names, index } = this.#parts;
    const house: PackHouse = {
      ...{ bytes, names, index, forgotten: this.#forgotten },
      ...this.#ways,
      ...{ packs: PACKS, alone: ALONE },
      wrote: (pack) => wrote.add(pack),
      alter: async (pack, work) => {
        if (wrote.has(pack)) return false;
        const altering = work().finally(() => this.#altering.delete(pack));
        this.#altering.set(pack, altering.catch(() => {}));
        await altering;
        return true;
      },
    };
    return await new Compaction(house, options).run();
  }

  /** Stores a pack and its entries, both at once where the index can, when compaction is not at work on one of that name. */
  async #store(pack: string, small: boolean, entries: readonly PackEntry[], bytes: Bytes): Promise<void> {
    for (let other = this.#altering.get(pack); other; other = this.#altering.get(pack)) await other;
    this.#wrote?.add(pack);
    this.#underWay.set(pack, (this.#underWay.get(pack) ?? 0) + 1);
    try {
      const { index } = this.#parts;
      if (index.addWith) await index.addWith(pack, small, entries, bytes);
      else {
        await (small ? this.#parts.names : this.#parts.bytes).put(pack, bytes);
        await index.add(pack, small, entries);
      }
      await this.#forgotten.remove(pack);
    } finally {
      const others = this.#underWay.get(pack)! - 1;
      if (others > 0) this.#underWay.set(pack, others);
      else this.#underWay.delete(pack);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#compacting?.catch(() => {}); // whoever asked for it hears of it
    await this.#flush();
    await this.#parts.index[Symbol.asyncDispose]();
  }

  async #putUnless(
    location: Promise<PackLocation | undefined>,
    key: string,
    value: Bytes,
  ): Promise<void> {
    let written: Promise<void> | undefined;
    const added = location.then((found) => {
      if (!found) written = this.#pending.get(key)?.pack.written.promise ?? this.#add(key, value);
    }).finally(() => this.#lookups.delete(added));
    this.#lookups.add(added);
    await added;
    await written;
  }

  #add(key: string, value: Bytes): Promise<void> {
    this.taken.added += value.length;
    const kind = key.slice(0, key.indexOf("/") + 1);
    if (value.length > this.#longest(kind)) return this.#putAlone(key, value);
    let pack = this.#open.get(kind) ?? this.#begin(kind);
    let entry = pack.writer.add(key, value);
    if (!entry) {
      this.#end(kind, pack);
      pack = this.#begin(kind);
      entry = pack.writer.add(key, value)!;
    }
    this.#pending.set(key, { pack, entry });
    this.#lastAdded = performance.now();
    this.#timer ??= setTimeout(() => this.#lingered(), this.#linger);
    return pack.written.promise;
  }

  /** Bytes of the longest value that goes to a pack. */
  #longest(kind: string): number {
    const { packLength } = this.#ways;
    return this.#encoderOf(kind) ? packLength - ROOM_FOR_TABLE : packLength / 2;
  }

  #encoderOf(kind: string): FrameEncoder | undefined {
    return kind === COMPRESSED ? this.#parts.frames?.encoder : undefined;
  }

  #putAlone(key: string, value: Bytes): Promise<void> {
    const other = this.#alone.get(key);
    if (other) return other;
    const pack = ALONE + key;
    const copy = this.#altering.has(pack) ? value.slice() : value; // it may have to wait
    const writing = this.#store(pack, false, [{ key, offset: 0, length: value.length }], copy)
      .finally(() => {
        this.#writing.delete(writing);
        this.#alone.delete(key);
      });
    this.#writing.add(writing);
    this.#alone.set(key, writing);
    return writing;
  }

  #begin(kind: string): OpenPack {
    const pack = new OpenPack(this.#buffers.take());
    this.#open.set(kind, pack);
    return pack;
  }

  hurry(): () => void {
    this.#hurries++;
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#lingered(), this.#linger);
    }
    let calm = false;
    return () => {
      if (!calm) this.#hurries--;
      calm = true;
    };
  }

  /** Milliseconds that values wait for others now. */
  get #linger(): number {
    return this.#hurries > 0 ? Math.min(this.#ways.linger, HURRIED_LINGER_MS) : this.#ways.linger;
  }

  #lingered(): void {
    this.#timer = undefined;
    const now = performance.now();
    const linger = this.#linger;
    const maxAge = this.#hurries > 0 ? Math.min(this.#ways.maxAge, HURRIED_AGE_MS) : this.#ways.maxAge;
    // Of what is being looked up most will come.
    const idle =
      now - this.#lastAdded >= (this.#lookups.size > 0 ? Math.max(linger, LOOKING_LINGER_MS) : linger);
    let next = this.#lastAdded + linger;
    for (const [kind, pack] of this.#open) {
      if (idle || now - pack.begun >= maxAge) this.#end(kind, pack);
      else next = Math.min(next, pack.begun + maxAge);
    }
    // A timer may come a moment early.
    if (this.#open.size > 0) this.#timer = setTimeout(() => this.#lingered(), Math.max(1, next - now));
  }

  /** Ends a pack and begins to write it. */
  #end(kind: string, pack: OpenPack): void {
    this.#open.delete(kind);
    const writing = this.#write(kind, pack).then(() => {}, (error) => ({ error })).then((failed) => {
      // First out of sight, then told: who hears of it must not find the value here any more.
      this.#writing.delete(writing);
      for (const { key } of pack.writer.entries) this.#pending.delete(key);
      this.#buffers.give(pack.buffer);
      if (failed) pack.written.reject(failed.error);
      else pack.written.resolve();
    });
    this.#writing.add(writing);
  }

  async #write(kind: string, pack: OpenPack): Promise<void> {
    await this.#writes.take(1);
    try {
      const encoder = this.#encoderOf(kind);
      const writer = encoder ? await framePack(pack.writer, encoder) : pack.writer;
      const { name, bytes } = writer.end();
      const small = bytes.length <= this.#ways.smallPack;
      await this.#store(PACKS + name, small, writer.entries, bytes);
    } finally {
      this.#writes.give(1);
    }
  }

  /** Waits until everything that was put is written, or has failed: each put tells that itself. */
  async #flush(): Promise<void> {
    while (this.#lookups.size > 0) await Promise.allSettled(this.#lookups);
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [kind, pack] of [...this.#open]) this.#end(kind, pack);
    await Promise.allSettled(this.#writing);
  }
}
