/**
 * A ByteStore in Deno KV: a local file, a `denokv` server or Deno Deploy. What lies where is told in records.ts.
 *
 * Limits it works within: 65,536 bytes a value, 2,048 a key, 819,200 bytes, 81,920 of them keys, 1,000 mutations and 10 checks an
 * atomic, 10 keys a `getMany`. Several processes may use one store at the same time.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import {
  type ByteRange,
  type ByteStore,
  checkKey,
  checkValue,
  MAX_KEY_LENGTH,
} from "../../castore/byte_store.ts";
import { DamageError } from "../../errors.ts";
import { commit, pauseBefore } from "./commit.ts";
import { GroupCommit } from "./group_commit.ts";
import { LongValues } from "./long_values.ts";
import { Lookups } from "./lookups.ts";
import { type Head, type HeadEntry, Keys, type KvLike, longHead, PIECE_LENGTH } from "./records.ts";
import { type KvOperation, watchKv } from "./watched_kv.ts";

/** Milliseconds a draft must be old to be swept: an hour. */
const SWEEP_AGE = 3_600_000;

/** What {@link openDenoKv} may be told. */
export interface DenoKvOptions {
  /** First part of every key, at most 100 characters, so that one database can hold several stores. */
  readonly prefix?: string;
  /** Checks an atomic may have: 10 (default) on a server, 100 in a file. Short values put at once share as few atomics as that allows. */
  readonly mostChecks?: number;
  /** Told of each operation when it has ended. */
  readonly onOperation?: (operation: KvOperation) => void;
}

/** A ByteStore in Deno KV. */
export interface DenoKvStore extends ByteStore {
  /**
   * Removes pieces of long values that belong to no value because a process died while it wrote or replaced one. They
   * only take room, so now and then is often enough. Writes begun in the last `age` milliseconds are left alone.
   * Resolves to how many values' pieces were removed.
   */
  sweepOrphans(age?: number): Promise<number>;
}

/** The store in this database, which stays the caller's: disposing the store does not close it. */
export function openDenoKv(kv: KvLike, options: DenoKvOptions = {}): DenoKvStore {
  const { prefix = "firn", mostChecks = 10, onOperation } = options;
  return new KvStore(onOperation ? watchKv(kv, { onOperation }) : kv, new Keys(prefix), mostChecks);
}

class KvStore implements DenoKvStore {
  #kv: KvLike;
  #keys: Keys;
  #longValues: LongValues;
  #group: GroupCommit;
  #lookups: Lookups<Head>;

  constructor(kv: KvLike, keys: Keys, mostChecks: number) {
    this.#kv = kv;
    this.#keys = keys;
    this.#longValues = new LongValues(kv, keys);
    this.#lookups = new Lookups(kv);
    this.#group = new GroupCommit(kv, keys, this.#longValues, mostChecks);
  }

  async get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    checkKey(key);
    return (await this.#read(key, range)).value;
  }

  /** Reads a short value after all: Deno KV has no smaller question. */
  async has(key: string): Promise<boolean> {
    checkKey(key);
    return (await this.#lookups.get(this.#keys.head(key))).versionstamp !== null;
  }

  async put(key: string, value: Bytes): Promise<void> {
    checkKey(key);
    checkValue(value);
    const copy = value.slice();
    if (copy.length <= PIECE_LENGTH) return await this.#group.change(key, copy);
    for (let attempt = 0;; attempt++) {
      await pauseBefore(attempt);
      if (await this.#replace(await this.#kv.get<Head>(this.#keys.head(key)), copy)) return;
    }
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.#group.change(key, undefined);
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    // No lawful key begins with such a prefix, and it may be too long for Deno KV.
    if (prefix.length > MAX_KEY_LENGTH || /[^!-~]/.test(prefix)) return;
    // Deno KV orders texts by their UTF-8 bytes, and DEL is the byte after `~`.
    const selector = { start: this.#keys.head(prefix), end: this.#keys.head(prefix + "\x7f") };
    for await (const { key } of this.#kv.list(selector)) yield key.at(-1) as string;
  }

  async update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined> {
    checkKey(key);
    for (let attempt = 0;; attempt++) {
      await pauseBefore(attempt);
      const { entry, value } = await this.#read(key);
      const next = change(value);
      if (next === value) return value;
      if (next) checkValue(next);
      if (await this.#replace(entry, next?.slice())) return next;
    }
  }

  async sweepOrphans(age = SWEEP_AGE): Promise<number> {
    return await this.#longValues.sweep(Date.now() - age);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** The value and the head it was read by. */
  async #read(key: string, range?: ByteRange): Promise<{ entry: HeadEntry; value: Bytes | undefined }> {
    let missed: string | null = null;
    while (true) {
      const entry = await this.#lookups.get(this.#keys.head(key));
      if (entry.value === null) return { entry, value: undefined };
      const head = longHead(entry);
      if (!head) {
        const whole = entry.value as Bytes;
        return { entry, value: range ? whole.slice(range.start, range.end) : whole };
      }
      const value = await this.#longValues.read(head, range ?? { start: 0, end: head.length });
      if (value) return { entry, value };
      // Pieces go when a value is replaced, so another look finds another head; the same one has lost its pieces.
      if (missed === entry.versionstamp) throw new DamageError("value", key);
      missed = entry.versionstamp;
    }
  }

  /** Sets or removes the value if the head is still as it was read. Returns whether it was. */
  async #replace(entry: HeadEntry, value: Bytes | undefined): Promise<boolean> {
    const atomic = this.#kv.atomic().check(entry);
    const old = longHead(entry);
    if (old) this.#longValues.retire(atomic, old);
    const staged = value && value.length > PIECE_LENGTH ? await this.#longValues.stage(value) : undefined;
    if (staged) this.#longValues.publish(atomic, staged);
    if (value) atomic.set(entry.key, staged?.head ?? value);
    else atomic.delete(entry.key);
    let committed = false;
    try {
      committed = await commit(atomic) !== undefined;
    } finally {
      if (staged && !committed) await this.#longValues.abandon(staged);
    }
    if (old && committed) await this.#longValues.discard(old);
    return committed;
  }
}
