/**
 * Reading values out of packs. Values of one tree lie next to each other, so a pack is read whole, and its table answers
 * for its neighbours: the next thousand values are found without the index and without the disk ("locality-preserved
 * caching": Zhu, Li and Patterson, FAST 2008).
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { ByteRange, ByteStore } from "../castore/byte_store.ts";
import { DamageError } from "../errors.ts";
import { readPackTable } from "./pack_format.ts";
import type { PackEntry, PackIndex, PackLocation } from "./pack_index.ts";

/** Packs kept in memory: 4 MiB each at most. */
const PACKS_KEPT = 4;

interface ReadPack {
  readonly bytes: Bytes;
  readonly entries: Map<string, PackEntry>;
}

/** What the keys of packs begin with. */
export const PACKS = "pack/";

export class PackReader {
  #large: ByteStore;
  #small: ByteStore;
  #index: PackIndex;
  /** Used last first. */
  #kept: ReadPack[] = [];
  #reading = new Map<string, Promise<ReadPack | undefined>>();

  /** @param stores.bytes keeps the packs, `names` the small ones */
  constructor({ bytes, names, index }: { bytes: ByteStore; names: ByteStore; index: PackIndex }) {
    this.#large = bytes;
    this.#small = names;
    this.#index = index;
  }

  /** A value that is in a pack read lately. */
  find(key: string, range?: ByteRange): Bytes | undefined {
    for (let i = 0; i < this.#kept.length; i++) {
      const pack = this.#kept[i];
      const entry = pack.entries.get(key);
      if (!entry) continue;
      if (i > 0) {
        this.#kept.splice(i, 1);
        this.#kept.unshift(pack);
      }
      return cut(pack.bytes, entry, range);
    }
    return undefined;
  }

  /** A value that is no more. */
  forget(key: string): void {
    for (const { entries } of this.#kept) entries.delete(key);
  }

  /** The value at a location. Throws `DamageError` if its pack is not there or ends too soon. */
  async read(key: string, location: PackLocation, range?: ByteRange): Promise<Bytes> {
    if (!location.pack.startsWith(PACKS)) return await this.#readAlone(key, location, range);
    const pack = await this.#pack(location);
    if (!pack || pack.bytes.length < location.offset + location.length) {
      throw new DamageError(
        "value",
        key,
        `Cannot read ${key}: its pack ${location.pack} is missing or cut short`,
      );
    }
    return cut(pack.bytes, location, range);
  }

  async #readAlone(key: string, location: PackLocation, range?: ByteRange): Promise<Bytes> {
    const bytes = await this.#large.get(location.pack);
    if (bytes?.length !== location.length) {
      throw new DamageError("value", key, `Cannot read ${key}: ${location.pack} is missing or cut short`);
    }
    return cut(bytes, location, range);
  }

  #pack(location: PackLocation): Promise<ReadPack | undefined> {
    let reading = this.#reading.get(location.pack);
    if (!reading) {
      reading = this.#readPack(location).finally(() => this.#reading.delete(location.pack));
      this.#reading.set(location.pack, reading);
    }
    return reading;
  }

  async #readPack({ pack, small }: PackLocation): Promise<ReadPack | undefined> {
    const bytes = await (small ? this.#small : this.#large).get(pack);
    if (!bytes) return undefined;
    const read = { bytes, entries: tableOf(bytes, pack) };
    for (const key of await this.#index.deletedFrom(pack)) read.entries.delete(key);
    this.#kept.unshift(read);
    if (this.#kept.length > PACKS_KEPT) this.#kept.pop();
    return read;
  }
}

/** The table of a pack. A damaged one is no table: its values can still be had one by one, through the index. */
function tableOf(bytes: Bytes, pack: string): Map<string, PackEntry> {
  try {
    return new Map(readPackTable(bytes, pack).map((entry) => [entry.key, entry]));
  } catch (error) {
    if (error instanceof DamageError) return new Map();
    throw error;
  }
}

function cut(pack: Bytes, { offset, length }: { offset: number; length: number }, range?: ByteRange): Bytes {
  const start = Math.min(range?.start ?? 0, length);
  const end = Math.max(start, Math.min(range?.end ?? length, length));
  return pack.subarray(offset + start, offset + end);
}
