/**
 * Reading values out of packs. Values of one tree lie next to each other, so for a short value its pack is read whole, and
 * the pack's table answers for its neighbours: the next thousand are found without the index and without the disk
 * ("locality-preserved caching": Zhu, Li and Patterson, FAST 2008). A long value has few neighbours; it is read by itself,
 * unless much of one pack is asked for at the same time.
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import type { FrameDecoder, StoredForm } from "../castore/stored_form.ts";
import { DamageError } from "../errors.ts";
import { readPackTable } from "./pack_format.ts";
import { plainBytes, storedForm } from "./pack_frames.ts";
import {
  isFrame,
  type PackBytes,
  type PackEntry,
  type PackIndex,
  type PackLocation,
  startOf,
} from "./pack_index.ts";

/** A value of this many bytes is long; one that is compressed, of a third of them. */
const LONG = 128 * 1024, LONG_FRAME = 43 * 1024;
/** A pack of which more bytes than this are asked for at the same time is read whole. A chunk alone has not more. */
const MUCH = 512 * 1024;

/** Parts of a pack with fewer bytes between them are read at once. */
const GAP = 16 * 1024;

/** A part of a pack that is wanted. */
interface Wanted {
  readonly range: ByteRange;
  readonly resolve: (bytes: Bytes | undefined) => void;
  readonly reject: (error: unknown) => void;
}

interface ReadPack {
  readonly bytes: Bytes;
  readonly entries: Map<string, PackEntry>;
}

/** What the keys of packs begin with. */
export const PACKS = "pack/";

export class PackReader {
  #large: PackBytes;
  #small: PackBytes;
  #index: PackIndex;
  /** Used last first. */
  #kept: ReadPack[] = [];
  #reading = new Map<string, Promise<ReadPack | undefined>>();
  /** Parts that were asked for since the program last waited, by their pack. */
  #wanted = new Map<string, Wanted[]>();

  #packsKept: number;
  #decoder: FrameDecoder | undefined;

  /**
   * @param stores.bytes keeps the packs, `names` the small ones
   * @param packsKept packs kept in memory: 4 MiB each at most
   * @param decoder for values that are compressed
   */
  constructor(
    { bytes, names, index }: { bytes: PackBytes; names: PackBytes; index: PackIndex },
    packsKept: number,
    decoder?: FrameDecoder,
  ) {
    this.#packsKept = packsKept;
    this.#decoder = decoder;
    this.#large = bytes;
    this.#small = names;
    this.#index = index;
  }

  /** A value that is in a pack read lately. Throws `DamageError` for a frame that cannot be read. */
  find(key: string, range?: ByteRange): Bytes | undefined {
    const found = this.#find(key);
    if (!found) return undefined;
    return cut(plainBytes(found.stands, found.entry, this.#decoder), range);
  }

  /** The stored form of a value that is in a pack read lately. Throws as {@link find}. */
  findStored(key: string): StoredForm | undefined {
    const found = this.#find(key);
    return found && storedForm(found.stands, found.entry);
  }

  /** What stands in a pack read lately. */
  #find(key: string): { stands: Bytes; entry: PackEntry } | undefined {
    for (let i = 0; i < this.#kept.length; i++) {
      const pack = this.#kept[i];
      const entry = pack.entries.get(key);
      if (!entry) continue;
      if (i > 0) {
        this.#kept.splice(i, 1);
        this.#kept.unshift(pack);
      }
      const start = startOf(entry);
      return { stands: pack.bytes.subarray(start, start + entry.length), entry };
    }
    return undefined;
  }

  /** A value that is no more. */
  forget(key: string): void {
    for (const { entries } of this.#kept) entries.delete(key);
  }

  /** The value at a location. Throws `DamageError` if its pack is not there or ends too soon, or for a frame that cannot be read. */
  async read(key: string, location: PackLocation, range?: ByteRange): Promise<Bytes> {
    if (!isFrame(location)) return await this.#stands(key, location, range);
    return cut(plainBytes(await this.#stands(key, location), { ...location, key }, this.#decoder), range);
  }

  /** The stored form of the value at a location. Throws as {@link read}. */
  async readStored(key: string, location: PackLocation): Promise<StoredForm> {
    return storedForm(await this.#stands(key, location), { ...location, key });
  }

  /** What stands at a location. */
  async #stands(key: string, location: PackLocation, range?: ByteRange): Promise<Bytes> {
    const { pack, length } = location;
    const where = within(location, range);
    const bytes = !pack.startsWith(PACKS)
      ? await this.#storeOf(location).get(pack, where)
      : length >= (isFrame(location) ? LONG_FRAME : LONG)
      ? await this.#part(location, where)
      : (await this.#pack(location))?.bytes.subarray(where.start, where.end);
    if (bytes?.length === where.end - where.start) return bytes;
    throw new DamageError("value", key, `Cannot read ${key}: its pack ${pack} is missing or cut short`);
  }

  #storeOf({ small }: PackLocation): PackBytes {
    return small ? this.#small : this.#large;
  }

  /** A part of a pack, which is read whole if enough of it is asked for before the program waits. */
  #part(location: PackLocation, range: ByteRange): Promise<Bytes | undefined> {
    return new Promise((resolve, reject) => {
      const wanted = { range, resolve, reject };
      const others = this.#wanted.get(location.pack);
      if (others) return void others.push(wanted);
      this.#wanted.set(location.pack, [wanted]);
      queueMicrotask(() => this.#readWanted(location));
    });
  }

  async #readWanted(location: PackLocation): Promise<void> {
    const { pack } = location;
    const wanted = this.#wanted.get(pack)!;
    this.#wanted.delete(pack);
    const length = wanted.reduce((sum, { range }) => sum + range.end - range.start, 0);
    if (length <= MUCH && !this.#reading.has(pack)) {
      for (const near of neighbours(wanted)) this.#readTogether(location, near);
      return;
    }
    try {
      const read = await this.#pack(location);
      for (const { range, resolve } of wanted) resolve(read?.bytes.subarray(range.start, range.end));
    } catch (error) {
      for (const { reject } of wanted) reject(error);
    }
  }

  /** Reads parts that lie next to each other at once. */
  async #readTogether(location: PackLocation, wanted: readonly Wanted[]): Promise<void> {
    const start = wanted[0].range.start;
    const end = Math.max(...wanted.map(({ range }) => range.end));
    try {
      const bytes = await this.#storeOf(location).get(location.pack, { start, end });
      for (const { range, resolve } of wanted) {
        resolve(bytes?.subarray(range.start - start, range.end - start));
      }
    } catch (error) {
      for (const { reject } of wanted) reject(error);
    }
  }

  #pack(location: PackLocation): Promise<ReadPack | undefined> {
    let reading = this.#reading.get(location.pack);
    if (!reading) {
      reading = this.#readPack(location).finally(() => this.#reading.delete(location.pack));
      this.#reading.set(location.pack, reading);
    }
    return reading;
  }

  async #readPack(location: PackLocation): Promise<ReadPack | undefined> {
    const { pack } = location;
    const bytes = await this.#storeOf(location).get(pack);
    if (!bytes) return undefined;
    const read = { bytes, entries: tableOf(bytes, pack) };
    for (const key of await this.#index.deletedFrom(pack)) read.entries.delete(key);
    this.#kept.unshift(read);
    if (this.#kept.length > this.#packsKept) this.#kept.pop();
    return read;
  }
}

/** Parts in the order in which they lie, those with little between them together. */
function neighbours(wanted: readonly Wanted[]): Wanted[][] {
  const together: Wanted[][] = [];
  let end = -Infinity;
  for (const part of wanted.toSorted((a, b) => a.range.start - b.range.start)) {
    if (part.range.start - end <= GAP) together.at(-1)!.push(part);
    else together.push([part]);
    end = Math.max(end, part.range.end);
  }
  return together;
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

/** Where in a pack the bytes of a value lie that a range covers. */
function within(entry: { offset: number; length: number }, range?: ByteRange): ByteRange {
  const { length } = entry;
  const offset = startOf(entry);
  const start = Math.min(range?.start ?? 0, length);
  const end = Math.max(start, Math.min(range?.end ?? length, length));
  return { start: offset + start, end: offset + end };
}

function cut(value: Bytes, range?: ByteRange): Bytes {
  return range ? value.subarray(range.start, Math.max(range.start, range.end)) : value;
}
