import type { Bytes } from "../bytes/bytes.ts";
import { fromText, toText } from "../bytes/bytes.ts";
import { type ByteStore, MAX_KEY_LENGTH } from "../castore/byte_store.ts";

/** What keeps packs: of a ByteStore what they need, for a pack never changes. */
export type PackBytes = Pick<ByteStore, "get" | "put" | "delete" | "list">;

/** Set in the offset of a value that is compressed (`pack_frames.ts`): indexes keep offsets as they are. A pack is far shorter. */
export const FRAME = 2 ** 31;

/** Whether the value is compressed. */
export function isFrame({ offset }: { readonly offset: number }): boolean {
  return offset >= FRAME;
}

/** Bytes from the start of the pack to the value. */
export function startOf({ offset }: { readonly offset: number }): number {
  return offset >= FRAME ? offset - FRAME : offset;
}

/** Where a value lies. */
export interface PackLocation {
  /** Key of the pack: in the store of small packs or of large ones, as `small` says. */
  readonly pack: string;
  readonly small: boolean;
  /** Bytes from the start of the pack, and {@link FRAME} if the value is compressed; under 2^32. */
  readonly offset: number;
  /** Bytes of the value as it is stored. */
  readonly length: number;
}

/** One value of a pack that is being added to the index. */
export interface PackEntry {
  readonly key: string;
  /** As in {@link PackLocation}. */
  readonly offset: number;
  readonly length: number;
}

/** One value of a pack that was put together from other packs. */
export interface MovedEntry extends PackEntry {
  /** The pack it lay in. */
  readonly from: string;
}

/** How much room a value takes. */
export interface StoredLength {
  readonly key: string;
  /** Bytes of the value as it lies in its pack. */
  readonly length: number;
}

/** What a pack is used for. */
export interface PackUse {
  readonly pack: string;
  readonly small: boolean;
  /** How many values are found in it, and their bytes. */
  readonly values: number;
  readonly live: number;
  /** Bytes of the values that were forgotten, as far as they are known. */
  readonly dead: number;
}

/** The longest key of a value in a pack, in characters: what is kept under it elsewhere
 * puts a few before it. */
export const MAX_PACKED_KEY_LENGTH = MAX_KEY_LENGTH - 24;

/**
 * Finds the pack a value lies in. It only repeats what the packs say of themselves, so it may be thrown away and made
 * again, and each platform has the one that is fast there. Keys have at most {@link MAX_PACKED_KEY_LENGTH} characters.
 */
export interface PackIndex extends AsyncDisposable {
  /** Whether it holds every pack: false for one that was just made, or was not closed properly and may lack the last. */
  readonly complete: boolean;
  /**
   * Whether it outlives a crash as the packs do, so that once it is complete it is never made anew: then what is forgotten need
   * not be written down elsewhere.
   */
  readonly durable?: boolean;
  /** Where the value lies; not a promise when the answer is at hand, which saves a turn for each of many values. */
  get(key: string): PackLocation | undefined | Promise<PackLocation | undefined>;
  /**
   * Where the value lies, if that is known here and still true, though others may have forgotten it a moment ago: for who
   * would store it otherwise. An index that nobody else writes to leaves it out, as `get` is as good.
   */
  confirm?(key: string): PackLocation | undefined | Promise<PackLocation | undefined>;
  /** Whether it holds this pack for sure. */
  hasPack(pack: string): boolean | Promise<boolean>;
  /**
   * Adds the values of one pack. A key that is there may keep its place or move: the value is the same. Resolved means it outlives a crash, or that the index
   * will not call itself complete after one. A value that was forgotten and is added with the same pack again is not
   * forgotten any more.
   */
  add(pack: string, small: boolean, entries: readonly PackEntry[]): Promise<void>;
  /**
   * As `add`, and stores the pack itself, in one transaction: for an index that lives where the packs do. The bytes are read
   * before it returns its promise.
   */
  addWith?(pack: string, small: boolean, entries: readonly PackEntry[], bytes: Bytes): Promise<void>;
  /** Forgets a value, but not that its pack still holds it. */
  delete(key: string): Promise<void>;
  /** The values a pack holds that were forgotten. */
  deletedFrom(pack: string): readonly string[] | Promise<readonly string[]>;
  /**
   * Adds a pack of values that lie in other packs. Each moves, unless it is not found in the pack any more that it was taken
   * from: then it is where it is, or forgotten still. Resolved means what it means for `add`.
   */
  move(pack: string, small: boolean, entries: readonly MovedEntry[]): Promise<void>;
  /** Every pack in which a value is found or was forgotten, once, lazily; it may tell of other packs, too. */
  packs(): AsyncIterable<PackUse>;
  /**
   * Forgets a pack in which no value is found, and what was noted of it. Absent already is fine. Resolved means that this, and
   * every change before it, outlives a crash.
   */
  removePack(pack: string): Promise<void>;
  /** Keys that begin with `prefix`, in byte order, lazily. */
  list(prefix: string): AsyncIterable<string>;
  /** As `list`, and the length of each: one pass, however many values there are. */
  lengths(prefix: string): AsyncIterable<StoredLength>;
  /** Notes that it holds every pack now. */
  setComplete(): Promise<void>;
}

/** An index kept as one value an entry in a ByteStore: for platforms that have nothing faster. */
export async function indexOver(store: ByteStore): Promise<PackIndex> {
  return new IndexOver(store, await store.has(COMPLETE));
}

const COMPLETE = "index-complete";
const ENTRY = "index/";
const DELETED = "index-deleted/";

class IndexOver implements PackIndex {
  #store: ByteStore;

  constructor(store: ByteStore, public complete: boolean) {
    this.#store = store;
  }

  async get(key: string): Promise<PackLocation | undefined> {
    const value = await this.#store.get(ENTRY + key);
    if (!value) return undefined;
    const [small, offset, length, pack] = toText(value).split(" ");
    return { pack, small: small === "s", offset: Number(offset), length: Number(length) };
  }

  hasPack(): boolean {
    return false; // entries are written one by one, so a pack may be there in part
  }

  async add(pack: string, small: boolean, entries: readonly PackEntry[]): Promise<void> {
    await Promise.all(entries.map((entry) => this.#store.put(ENTRY + entry.key, place(pack, small, entry))));
    if (!await this.#store.has(DELETED + pack)) return;
    const added = new Set(entries.map(({ key }) => key));
    await this.#store.update(DELETED + pack, (list) => {
      const left = linesOf(list).filter((line) => !added.has(keyOf(line)));
      return left.length > 0 ? fromText(left.join("\n") + "\n") : undefined;
    });
  }

  async move(pack: string, small: boolean, entries: readonly MovedEntry[]): Promise<void> {
    for (const { from, ...entry } of entries) {
      const moved = place(pack, small, entry);
      const now = await this.#store.update(ENTRY + entry.key, (value) => {
        return value && packOf(value) === from ? moved : value;
      });
      if (!now || packOf(now) !== pack) await this.#noteForgotten(pack, entry);
    }
  }

  async *packs(): AsyncGenerator<PackUse, void, void> {
    const uses = new Map<
      string,
      { pack: string; small: boolean; values: number; live: number; dead: number }
    >();
    const useOf = (pack: string, small: boolean) => {
      const use = uses.get(pack) ?? { pack, small, values: 0, live: 0, dead: 0 };
      uses.set(pack, use);
      return use;
    };
    for await (const key of this.list("")) {
      const location = await this.get(key);
      if (!location) continue;
      const use = useOf(location.pack, location.small);
      use.values++;
      use.live += location.length;
    }
    for await (const key of this.#store.list(DELETED)) {
      // Whether a pack is small is told by its values; of one without any it does not matter where it is looked for.
      const use = useOf(key.slice(DELETED.length), false);
      for (const line of linesOf(await this.#store.get(key))) use.dead += Number(line.split(" ")[1] ?? 0);
    }
    yield* uses.values();
  }

  async removePack(pack: string): Promise<void> {
    await this.#store.delete(DELETED + pack);
  }

  async delete(key: string): Promise<void> {
    const location = await this.get(key);
    if (!location) return;
    await this.#noteForgotten(location.pack, { key, length: location.length });
    await this.#store.delete(ENTRY + key);
  }

  async #noteForgotten(pack: string, { key, length }: { key: string; length: number }): Promise<void> {
    await this.#store.update(DELETED + pack, (list) => {
      const lines = linesOf(list);
      if (list && lines.some((line) => keyOf(line) === key)) return list;
      return fromText([...lines, `${key} ${length}`, ""].join("\n"));
    });
  }

  async deletedFrom(pack: string): Promise<readonly string[]> {
    return linesOf(await this.#store.get(DELETED + pack)).map(keyOf);
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    for await (const key of this.#store.list(ENTRY + prefix)) yield key.slice(ENTRY.length);
  }

  async *lengths(prefix: string): AsyncGenerator<StoredLength, void, void> {
    for await (const key of this.list(prefix)) {
      const location = await this.get(key);
      if (location) yield { key, length: location.length };
    }
  }

  async setComplete(): Promise<void> {
    await this.#store.put(COMPLETE, new Uint8Array(0));
    this.complete = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The value of an entry: `s` or `l` for a small or large pack, offset, length, pack. */
function place(pack: string, small: boolean, { offset, length }: PackEntry): Bytes {
  return fromText(`${small ? "s" : "l"} ${offset} ${length} ${pack}`);
}

function packOf(value: Bytes): string {
  return toText(value).split(" ")[3];
}

/** The lines of a list of forgotten values: key and length; those written before there was one have none. */
function linesOf(list: Bytes | undefined): string[] {
  return list ? toText(list).split("\n").filter((line) => line !== "") : [];
}

function keyOf(line: string): string {
  return line.split(" ")[0];
}
