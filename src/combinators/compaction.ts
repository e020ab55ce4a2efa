/**
 * Giving back the room of deleted values: packs without any value are removed; of packs that are mostly dead the values are put
 * into new packs.
 *
 * In this order, so that a crash between any two steps loses nothing and brings nothing back: what is deleted is written down for
 * every pack (`forgotten.ts`); a new pack is durable; the index moves its values there; the old pack is removed, then its
 * row in the index, then what was noted of it. Who was about to read a value in a pack that is gone looks again where it is.
 *
 * Memory: the new packs that are being filled, one a kind of value, one old pack, and some hundred bytes for each pack of the store.
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { DamageError } from "../errors.ts";
import type { Forgotten } from "./forgotten.ts";
import { PackWriter, readPackTable } from "./pack_format.ts";
import {
  isFrame,
  type MovedEntry,
  type PackBytes,
  type PackEntry,
  type PackIndex,
  type PackUse,
  startOf,
} from "./pack_index.ts";

export interface CompactOptions {
  /** Packs are rewritten when this share of their bytes is dead; default 0.5. */
  readonly dead?: number;
  /** Nobody else writes to this store: packs that no index knows, left by a crash, are removed too. */
  readonly alone?: boolean;
  readonly onProgress?: (packs: number, of: number) => void;
  readonly signal?: AbortSignal;
}

export interface Compacted {
  /** Packs without any value that were removed. */
  readonly removed: number;
  /** Packs whose values were moved. */
  readonly rewritten: number;
  /** Packs they were moved to. */
  readonly written: number;
  /** Bytes given back, about. */
  readonly freed: number;
  /** Packs that cannot be read, and were left as they are. */
  readonly damaged: readonly string[];
}

/** What compaction needs of the packed store. */
export interface PackHouse {
  readonly bytes: PackBytes;
  readonly names: ByteStore;
  readonly index: PackIndex;
  readonly forgotten: Forgotten;
  /** Bytes of a full pack. */
  readonly packLength: number;
  /** Longest pack to write that goes to `names`. */
  readonly smallPack: number;
  readonly packs: string;
  readonly alone: string;
  /** Notes that a pack is written now. */
  wrote(pack: string): void;
  /**
   * Does something with a pack while nobody writes one of that name; not if somebody did since compaction began. Resolves to
   * whether it did.
   */
  alter(pack: string, work: () => Promise<void>): Promise<boolean>;
}

/** A pack that takes values of others. */
interface Gathering {
  readonly writer: PackWriter;
  readonly entries: MovedEntry[];
}

/** A pack whose values are being moved. */
interface Source extends PackUse {
  readonly length: number;
  /** New packs its values are in that are not written. */
  readonly open: Set<Gathering>;
  /** Whether all its values were taken out. */
  read: boolean;
}

export class Compaction {
  #house: PackHouse;
  #options: CompactOptions;
  #gathering = new Map<string, Gathering>();
  #sources: Source[] = [];
  #counts = { removed: 0, rewritten: 0, written: 0, freed: 0 };
  #damaged: string[] = [];

  constructor(house: PackHouse, options: CompactOptions) {
    this.#house = house;
    this.#options = options;
  }

  async run(): Promise<Compacted> {
    const { dead: threshold = 0.5, onProgress, signal } = this.#options;
    const packs = await this.#candidates();
    await this.#note(packs);
    for (const [i, use] of packs.entries()) {
      signal?.throwIfAborted();
      if (use.values === 0) await this.#remove(use);
      else if (use.dead > 0 && use.dead >= threshold * (use.live + use.dead)) await this.#rewrite(use);
      onProgress?.(i + 1, packs.length);
    }
    for (const kind of [...this.#gathering.keys()]) await this.#write(kind);
    return { ...this.#counts, damaged: this.#damaged };
  }

  /** Packs with something dead in them. */
  async #candidates(): Promise<PackUse[]> {
    const known = new Set<string>();
    const packs: PackUse[] = [];
    for await (const use of this.#house.index.packs()) {
      if (this.#options.alone) known.add(use.pack);
      if (use.values === 0 || use.dead > 0) packs.push(use);
    }
    if (this.#options.alone) { for await (const use of this.#unknown(known)) packs.push(use); }
    return packs;
  }

  /** Writes down what is forgotten, before anything is removed. */
  async #note(packs: readonly PackUse[]): Promise<void> {
    if (packs.length === 0) return;
    const { index, forgotten } = this.#house;
    await forgotten.begin();
    for (const { pack, values } of packs) {
      this.#options.signal?.throwIfAborted();
      await this.#house.alter(pack, () => forgotten.note(index, pack, values === 0));
    }
    await forgotten.commit();
  }

  /** Packs that the index does not know. */
  async *#unknown(known: ReadonlySet<string>): AsyncGenerator<PackUse, void, void> {
    const { bytes, names, packs, alone } = this.#house;
    for (
      const [store, prefix, small] of [[bytes, packs, false], [names, packs, true], [
        bytes,
        alone,
        false,
      ]] as const
    ) {
      for await (const pack of store.list(prefix)) {
        if (!known.has(pack)) yield { pack, small, values: 0, live: 0, dead: 0 };
      }
    }
  }

  async #remove({ pack, live, dead }: PackUse): Promise<void> {
    if (!await this.#removePack(pack)) return;
    this.#counts.removed++;
    this.#counts.freed += live + dead;
  }

  async #removePack(pack: string): Promise<boolean> {
    const { bytes, names, index, forgotten } = this.#house;
    return await this.#house.alter(pack, async () => {
      // It is in one of them; which one, an index without its values may not know. One that stores packs removes them too: others
      // may have put a value there again since, and only in one transaction that can be told.
      if (!index.addWith) await Promise.all([bytes.delete(pack), names.delete(pack)]);
      await index.removePack(pack);
      await forgotten.remove(pack);
    });
  }

  /** Moves the values of a pack to packs that are gathered. */
  async #rewrite(use: PackUse): Promise<void> {
    const { pack } = use;
    const whole = await this.#read(pack);
    const table = whole && this.#tableOf(whole, pack);
    if (!table) return;
    const source: Source = { ...use, length: whole.length, open: new Set(), read: false };
    this.#sources.push(source);
    for (const old of table) {
      const { key, length } = old;
      if ((await this.#house.index.get(key))?.pack !== pack) continue;
      const kind = key.slice(0, key.indexOf("/") + 1);
      const value = whole.subarray(startOf(old), startOf(old) + length); // as it is stored: nothing is compressed again
      let gathering = this.#gather(kind, whole.length);
      let entry = gathering.writer.add(key, value, isFrame(old));
      if (!entry) {
        await this.#write(kind);
        gathering = this.#gather(kind, whole.length);
        entry = gathering.writer.add(key, value, isFrame(old))!;
      }
      gathering.entries.push({ ...entry, from: pack });
      source.open.add(gathering);
    }
    source.read = true;
    await this.#removeSources();
  }

  /** A new pack of a kind, with room for `least` bytes: the packs of a store need not all have been of one length. */
  #gather(kind: string, least: number): Gathering {
    let gathering = this.#gathering.get(kind);
    if (!gathering) {
      const buffer = new Uint8Array(Math.max(this.#house.packLength, least));
      gathering = { writer: new PackWriter(buffer), entries: [] };
      this.#gathering.set(kind, gathering);
    }
    return gathering;
  }

  /** Writes a gathered pack, and removes the packs that are empty then. */
  async #write(kind: string): Promise<void> {
    const gathering = this.#gathering.get(kind)!;
    this.#gathering.delete(kind);
    const { names, bytes, index, forgotten, smallPack, packs } = this.#house;
    const { name, bytes: written } = gathering.writer.end();
    const small = written.length <= smallPack;
    this.#house.wrote(packs + name);
    await (small ? names : bytes).put(packs + name, written);
    await forgotten.remove(packs + name);
    await index.move(packs + name, small, gathering.entries);
    this.#counts.written++;
    this.#counts.freed -= written.length;
    for (const { open } of this.#sources) open.delete(gathering);
    await this.#removeSources();
  }

  async #removeSources(): Promise<void> {
    for (const source of this.#sources.filter(({ read, open }) => read && open.size === 0)) {
      this.#sources.splice(this.#sources.indexOf(source), 1);
      if (!await this.#removePack(source.pack)) continue;
      this.#counts.rewritten++;
      this.#counts.freed += source.length;
    }
  }

  async #read(pack: string): Promise<Bytes | undefined> {
    return await this.#house.bytes.get(pack) ?? await this.#house.names.get(pack);
  }

  #tableOf(whole: Bytes, pack: string): PackEntry[] | undefined {
    try {
      return readPackTable(whole, pack);
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      if (!this.#damaged.includes(pack)) this.#damaged.push(pack);
      return undefined;
    }
  }
}
