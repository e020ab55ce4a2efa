/**
 * The index of packs in Deno KV, as durable as anything there, so it is never made anew. With it go the packs
 * themselves: small ones, and large ones unless they are kept elsewhere.
 *
 *   [prefix, "format"]              `1` and where large packs are: `1 here` or `1 elsewhere`; missing until the index is complete
 *   [prefix, "index", key]          the entry of a value (kv_entry.ts)
 *   [prefix, "packed", pack]        0 while entries of a pack are being added, 1 when all are there; + 2 for a small pack
 *   [prefix, "deleted", pack, key]  length of a value that was forgotten and is in the pack still
 *   [prefix, "value", pack]         a small pack, as `records.ts` has it; the version of a long one is its name
 *   [prefix, "pack", pack, index]   a large one (kv_packs.ts)
 *
 * Several processes may read, add and delete at the same time. A new pack and its entries are one atomic; if they are too much for one, a
 * process that dies in between leaves entries of a pack that is there, or a pack nobody knows. Packs may be removed only while
 * nobody else adds any: one that is empty could be filled again in between.
 */
import { Budget } from "../../bytes/budget.ts";
import type { Bytes } from "../../bytes/bytes.ts";
import type {
  MovedEntry,
  PackBytes,
  PackEntry,
  PackIndex,
  PackLocation,
  PackUse,
  StoredLength,
} from "../../combinators/pack_index.ts";
import { LimitError, StoreVersionError } from "../../errors.ts";
import { commit, pauseBefore } from "./commit.ts";
import { decodeEntry, encodeEntry } from "./kv_entry.ts";
import { KvPacks, LONGEST_SHORT } from "./kv_packs.ts";
import { Lookups } from "./lookups.ts";
import { Keys, type KvLike, PIECE_LENGTH, pieceCount } from "./records.ts";

/** Checks a server of Deno KV allows an atomic. */
const MOST_CHECKS = 10;
/** Of the 1,000 mutations an atomic may have. */
const MOST_MUTATIONS = 900;
/** Of the 819,200 bytes, in which keys count twice. */
const MOST_BYTES = 800_000;
/** Of the 81,920 bytes its keys may have together. */
const MOST_KEY_BYTES = 80_000;
/** What a key has besides the prefix and the names of values and packs: what it is, a number, and marks between its parts. */
const MARKS = 20;
/** Atomics on their way at once. */
const ATOMICS = 16;
/** Milliseconds for which it is relied on that nothing was deleted. */
const LOOK_MS = 10_000;
/** Keys read at once while listing. */
const PAGE = 500;

const BEGUN = 0, COMPLETE = 1, SMALL = 2;

/** What {@link openKvIndex} may be told. */
export interface KvIndexOptions {
  /** As the `openDenoKv` that keeps the names has it. */
  readonly prefix?: string;
  /** Keeps large packs; by default they are in Deno KV, too. */
  readonly packs?: PackBytes;
}

/** An index, and the large packs it was told of. */
export interface KvIndex extends PackIndex {
  readonly bytes: PackBytes;
}

/** Opens the index in this database. Throws {@link StoreVersionError} if it is of another form, or its packs are elsewhere. */
export async function openKvIndex(kv: KvLike, options: KvIndexOptions = {}): Promise<KvIndex> {
  const prefix = options.prefix ?? "firn";
  const format = options.packs ? "1 elsewhere" : "1 here";
  const { value } = await kv.get<string>([prefix, "format"]);
  if (value !== null && value !== format) throw new StoreVersionError(otherForm(value, format));
  return new IndexInKv(kv, prefix, options.packs ?? new KvPacks(kv, prefix), format, value !== null);
}

function otherForm(value: unknown, format: string): string {
  if (value === "1 elsewhere") {
    return "Cannot open the store: its packs are elsewhere; say where with --packs";
  }
  if (value === "1 here") return "Cannot open the store: its packs are in Deno KV; leave --packs out";
  return `Cannot open the store: Deno KV holds the form ${JSON.stringify(value)}, and this firn reads ${
    JSON.stringify(format)
  }`;
}

class IndexInKv implements KvIndex {
  readonly durable = true;
  #kv: KvLike;
  #prefix: string;
  #names: Keys;
  #format: string;
  #lookups: Lookups<Bytes>;
  #atomics = new Budget(ATOMICS);
  /** Whether anything was deleted when that was looked for. */
  #deletions = false;
  #lookedAt = -Infinity;
  #looking: Promise<void> | undefined;

  constructor(
    kv: KvLike,
    prefix: string,
    readonly bytes: PackBytes,
    format: string,
    public complete: boolean,
  ) {
    this.#kv = kv;
    this.#prefix = prefix;
    this.#names = new Keys(prefix);
    this.#format = format;
    this.#lookups = new Lookups(kv);
  }

  async get(key: string): Promise<PackLocation | undefined> {
    const { value } = await this.#lookups.get(this.#entry(key));
    return value === null ? undefined : decodeEntry(key, value);
  }

  async hasPack(pack: string): Promise<boolean> {
    const { value } = await this.#kv.get<number>(this.#packed(pack));
    return value !== null && (value & COMPLETE) !== 0;
  }

  add(pack: string, small: boolean, entries: readonly PackEntry[]): Promise<void> {
    return this.#add(pack, small, entries);
  }

  async addWith(pack: string, small: boolean, entries: readonly PackEntry[], bytes: Bytes): Promise<void> {
    if (small && bytes.length > LONGEST_SHORT) {
      throw new LimitError(
        LONGEST_SHORT,
        `Cannot keep a small pack of ${bytes.length} bytes: at most ${LONGEST_SHORT}`,
      );
    }
    if (small || this.bytes instanceof KvPacks && bytes.length <= LONGEST_SHORT) {
      return await this.#add(pack, small, entries, bytes.slice());
    }
    await this.bytes.put(pack, bytes);
    await this.#add(pack, small, entries);
  }

  /** Adds a pack, which is new as a rule: else what was forgotten of it is so no more. */
  async #add(pack: string, small: boolean, entries: readonly PackEntry[], bytes?: Bytes): Promise<void> {
    for (const again of [false, true]) {
      if (await this.#commitAll(this.#fill(pack, small, entries, bytes, again))) return;
    }
  }

  /** The atomics that add a pack, the pack itself with the first of them. What is added again is not checked. */
  #fill(
    pack: string,
    small: boolean,
    entries: readonly PackEntry[],
    bytes: Bytes | undefined,
    again: boolean,
  ): Deno.AtomicOperation[] {
    const marker = this.#packed(pack);
    const marks = this.#prefix.length + MARKS;
    const first = new Filling(this.#kv.atomic());
    if (!again) first.atomic.check({ key: marker, versionstamp: null });
    first.count(2, 2 * (pack.length + marks), 0);
    if (bytes) {
      const mutations = small
        ? this.#addSmall(first.atomic, pack, bytes)
        : (this.bytes as KvPacks).addTo(first.atomic, pack, bytes);
      first.count(mutations, mutations * (pack.length + marks), bytes.length);
    }
    const fillings = [first];
    for (const entry of entries) {
      const value = encodeEntry(pack, small, entry);
      const keyBytes = entry.key.length + marks + (again ? pack.length + entry.key.length + marks : 0);
      let filling = fillings.at(-1)!;
      if (!filling.fits(again ? 2 : 1, keyBytes, value.length)) {
        fillings.push(filling = new Filling(this.#kv.atomic()));
        filling.count(1, pack.length + marks, 0);
      }
      filling.atomic.set(this.#entry(entry.key), value);
      if (again) filling.atomic.delete(this.#deleted(pack, entry.key));
      filling.count(again ? 2 : 1, keyBytes, value.length);
    }
    const flags = small ? SMALL : 0;
    if (fillings.length > 1) first.atomic.set(marker, BEGUN | flags);
    fillings.at(-1)!.atomic.set(marker, COMPLETE | flags);
    return fillings.map(({ atomic }) => atomic);
  }

  /** Adds a small pack to an atomic as the store of names has its values. Returns how many mutations that makes. */
  #addSmall(atomic: Deno.AtomicOperation, pack: string, bytes: Bytes): number {
    if (bytes.length <= PIECE_LENGTH) {
      atomic.set(this.#names.head(pack), bytes);
      return 1;
    }
    const head = { version: pack, length: bytes.length };
    atomic.set(this.#names.head(pack), head);
    const count = pieceCount(head);
    for (let index = 0; index < count; index++) {
      const start = index * PIECE_LENGTH;
      atomic.set(this.#names.piece(pack, index), bytes.subarray(start, start + PIECE_LENGTH));
    }
    return 1 + count;
  }

  /** Commits the first, then those between, then the last. False if the first may not be, and nothing has changed. */
  async #commitAll(atomics: readonly Deno.AtomicOperation[]): Promise<boolean> {
    if (!await this.#commit(atomics[0])) return false;
    const between = await Promise.allSettled(atomics.slice(1, -1).map((atomic) => this.#commit(atomic)));
    const failed = between.find(({ status }) => status === "rejected");
    if (failed) throw (failed as PromiseRejectedResult).reason;
    if (atomics.length > 1) await this.#commit(atomics.at(-1)!);
    return true;
  }

  async #commit(atomic: Deno.AtomicOperation): Promise<boolean> {
    await this.#atomics.take(1);
    try {
      return await commit(atomic) !== undefined;
    } finally {
      this.#atomics.give(1);
    }
  }

  async delete(key: string): Promise<void> {
    for (let attempt = 0;; attempt++) {
      await pauseBefore(attempt);
      const entry = await this.#lookups.get(this.#entry(key));
      if (entry.value === null) return;
      const { pack, length } = decodeEntry(key, entry.value);
      const atomic = this.#kv.atomic().check(entry).delete(entry.key).set(this.#deleted(pack, key), length);
      if (!await this.#commit(atomic)) continue;
      this.#deletions = true;
      return;
    }
  }

  async deletedFrom(pack: string): Promise<string[]> {
    if (!await this.#anyDeleted()) return [];
    const keys: string[] = [];
    for await (const { key } of this.#kv.list({ prefix: this.#deleted(pack) }, { batchSize: PAGE })) {
      keys.push(key.at(-1) as string);
    }
    return keys;
  }

  /**
   * Whether anything was deleted. That nothing was is relied on for a moment: who keeps a pack that was read hears as little of what
   * others delete.
   */
  async #anyDeleted(): Promise<boolean> {
    const now = performance.now();
    if (!this.#deletions && now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      this.#looking = this.#lookForDeleted();
      this.#looking.catch(() => this.#lookedAt = -Infinity); // who waits for it hears of it
    }
    await this.#looking;
    return this.#deletions;
  }

  async #lookForDeleted(): Promise<void> {
    for await (const _ of this.#kv.list({ prefix: this.#deleted() }, { limit: 1 })) this.#deletions = true;
  }

  async move(pack: string, small: boolean, entries: readonly MovedEntry[]): Promise<void> {
    const flags = small ? SMALL : 0;
    await this.#commit(this.#kv.atomic().set(this.#packed(pack), BEGUN | flags));
    for (let at = 0; at < entries.length; at += MOST_CHECKS) {
      await this.#moveSome(pack, small, entries.slice(at, at + MOST_CHECKS));
    }
    await this.#commit(this.#kv.atomic().set(this.#packed(pack), COMPLETE | flags));
  }

  /** Moves values that are as many as one atomic may check. */
  async #moveSome(pack: string, small: boolean, entries: readonly MovedEntry[]): Promise<void> {
    for (let attempt = 0;; attempt++) {
      await pauseBefore(attempt);
      const atomic = this.#kv.atomic();
      const found = await Promise.all(entries.map(({ key }) => this.#lookups.get(this.#entry(key))));
      for (const [i, { key, value, versionstamp }] of found.entries()) {
        const entry = entries[i];
        const now = value === null ? undefined : decodeEntry(entry.key, value).pack;
        atomic.check({ key, versionstamp });
        if (now === entry.from) {
          atomic.set(key, encodeEntry(pack, small, entry)).delete(this.#deleted(pack, entry.key));
        } else if (now !== pack) atomic.set(this.#deleted(pack, entry.key), entry.length);
      }
      if (!await this.#commit(atomic)) continue;
      this.#deletions = true;
      return;
    }
  }

  async *packs(): AsyncGenerator<PackUse, void, void> {
    const uses = new Map<string, { small: boolean; values: number; live: number; dead: number }>();
    const useOf = (pack: string, small: boolean) => {
      let use = uses.get(pack);
      if (!use) uses.set(pack, use = { small, values: 0, live: 0, dead: 0 });
      return use;
    };
    const list = <T>(of: string) => this.#kv.list<T>({ prefix: [this.#prefix, of] }, { batchSize: PAGE });
    for await (const { key, value } of list<number>("packed")) {
      useOf(key[2] as string, (value & SMALL) !== 0);
    }
    for await (const { key, value } of list<Bytes>("index")) {
      const { pack, small, length } = decodeEntry(key[2] as string, value);
      const use = useOf(pack, small);
      use.values++;
      use.live += length;
    }
    for await (const { key, value } of list<number>("deleted")) {
      useOf(key[2] as string, false).dead += value;
    }
    for (const [pack, use] of uses) yield { pack, ...use };
  }

  async removePack(pack: string): Promise<void> {
    await Promise.all([
      this.bytes.delete(pack),
      this.#commit(this.#removingSmall(pack)),
    ]);
    for (const key of await this.deletedFrom(pack)) {
      await this.#commit(this.#kv.atomic().delete(this.#deleted(pack, key)));
    }
    await this.#commit(this.#kv.atomic().delete(this.#packed(pack)));
  }

  #removingSmall(pack: string): Deno.AtomicOperation {
    const atomic = this.#kv.atomic().delete(this.#names.head(pack));
    const count = pieceCount({ version: pack, length: LONGEST_SHORT });
    for (let index = 0; index < count; index++) atomic.delete(this.#names.piece(pack, index));
    return atomic;
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    for await (const { key } of this.#under(prefix)) yield key.at(-1) as string;
  }

  async *lengths(prefix: string): AsyncGenerator<StoredLength, void, void> {
    for await (const { key: [, , last], value } of this.#under(prefix)) {
      const key = last as string;
      yield { key, length: decodeEntry(key, value).length };
    }
  }

  async *#under(prefix: string): AsyncGenerator<Deno.KvEntry<Bytes>, void, void> {
    if (/[^!-~]/.test(prefix)) return;
    // Deno KV orders texts by their UTF-8 bytes, and DEL is the byte after `~`.
    const selector = { start: this.#entry(prefix), end: this.#entry(prefix + "\x7f") };
    yield* this.#kv.list<Bytes>(selector, { batchSize: PAGE });
  }

  async setComplete(): Promise<void> {
    const key = [this.#prefix, "format"];
    const isNew = this.#kv.atomic().check({ key, versionstamp: null }).set(key, this.#format);
    if (!await this.#commit(isNew)) {
      // Somebody opened it at the same time, perhaps in another form.
      const { value } = await this.#kv.get<string>(key);
      if (value !== this.#format) throw new StoreVersionError(otherForm(value, this.#format));
    }
    this.complete = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #entry(key: string): Deno.KvKey {
    return [this.#prefix, "index", key];
  }

  #packed(pack: string): Deno.KvKey {
    return [this.#prefix, "packed", pack];
  }

  #deleted(...of: string[]): Deno.KvKey {
    return [this.#prefix, "deleted", ...of];
  }
}

/** An atomic that is being filled, and how full it is. */
class Filling {
  #mutations = 0;
  #keyBytes = 0;
  #bytes = 0;

  constructor(readonly atomic: Deno.AtomicOperation) {}

  /** Whether so much more fits. */
  fits(mutations: number, keyBytes: number, bytes: number): boolean {
    return this.#mutations + mutations <= MOST_MUTATIONS && this.#keyBytes + keyBytes <= MOST_KEY_BYTES &&
      this.#bytes + 2 * keyBytes + bytes <= MOST_BYTES;
  }

  count(mutations: number, keyBytes: number, bytes: number): void {
    this.#mutations += mutations;
    this.#keyBytes += keyBytes;
    this.#bytes += 2 * keyBytes + bytes;
  }
}
