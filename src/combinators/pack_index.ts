import type { Bytes } from "../bytes/bytes.ts";
import { fromText, toText } from "../bytes/bytes.ts";
import { type ByteStore, MAX_KEY_LENGTH } from "../castore/byte_store.ts";

/** Where a value lies. */
export interface PackLocation {
  /** Key of the pack: in the store of small packs or of large ones, as `small` says. */
  readonly pack: string;
  readonly small: boolean;
  /** Bytes from the start of the pack. */
  readonly offset: number;
  /** Bytes of the value. */
  readonly length: number;
}

/** One value of a pack that is being added to the index. */
export interface PackEntry {
  readonly key: string;
  readonly offset: number;
  readonly length: number;
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
   * will not call itself complete after one.
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
  /** Keys that begin with `prefix`, in byte order, lazily. */
  list(prefix: string): AsyncIterable<string>;
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
    await Promise.all(
      entries.map(({ key, offset, length }) =>
        this.#store.put(ENTRY + key, fromText(`${small ? "s" : "l"} ${offset} ${length} ${pack}`) as Bytes)
      ),
    );
  }

  async delete(key: string): Promise<void> {
    const location = await this.get(key);
    if (!location) return;
    const deleted = (list: string) => list.split("\n").includes(key) ? list : list + key + "\n";
    await this.#store.update(DELETED + location.pack, (list) => fromText(deleted(list ? toText(list) : "")));
    await this.#store.delete(ENTRY + key);
  }

  async deletedFrom(pack: string): Promise<readonly string[]> {
    const list = await this.#store.get(DELETED + pack);
    return list ? toText(list).split("\n").filter((key) => key !== "") : [];
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    for await (const key of this.#store.list(ENTRY + prefix)) yield key.slice(ENTRY.length);
  }

  async setComplete(): Promise<void> {
    await this.#store.put(COMPLETE, new Uint8Array(0));
    this.complete = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
