/**
 * The second half of a garbage collection: contents that were not marked. Records of pressed NARs go first, then Directories, then
 * lists, then chunks, so that a record or list which is there has its chunks. A value that was used lately stays, with all it stands for.
 */
import { fromHex } from "../bytes/hex.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import type { GuardedStore } from "../castore/guarded_store.ts";
import type { ValueKind } from "./contents.ts";
import type { Reach } from "./reach.ts";

/** Values deleted at once. */
const AT_ONCE = 64;
/** Values deleted before new records are looked for. */
const SECTION = 65_536;
const KINDS: readonly ValueKind[] = ["pressed", "dir", "blob", "outboard", "chunk"];
const DIGEST = /^[0-9a-f]{64}$/;

export interface SweepOptions {
  readonly bytes: ByteStore;
  readonly guard: GuardedStore | undefined;
  readonly reach: Reach;
  readonly dryRun: boolean;
  readonly lengthOf?: (key: string) => number | undefined | Promise<number | undefined>;
  readonly signal?: AbortSignal;
  readonly onLook: (values: number) => Promise<void>;
  /** Told of the key of each value that was deleted. */
  readonly onDeleted: (key: string) => void;
  /** Runs a part that deletes, after marking what records came. */
  readonly section: <T>(work: () => Promise<T>) => Promise<T>;
}

export class Sweep {
  #options: SweepOptions;
  #looked = 0;
  #values = 0;
  #bytes = 0;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  async run(): Promise<{ values: number; bytes: number }> {
    for (const kind of KINDS) {
      const keys = this.#options.bytes.list(kind + "/")[Symbol.asyncIterator]();
      try {
        while (!await this.#options.section(() => this.#sweepSome(kind, keys)));
      } finally {
        await keys.return?.();
      }
    }
    return { values: this.#values, bytes: this.#bytes };
  }

  /** Deletes some of one kind. Returns whether that was the rest. */
  async #sweepSome(kind: ValueKind, keys: AsyncIterator<string>): Promise<boolean> {
    const end = this.#values + SECTION;
    let unmarked: string[] = [];
    while (this.#values + unmarked.length < end) {
      const { done, value: key } = await keys.next();
      if (!done && this.#isUnmarked(kind, key)) unmarked.push(key);
      if (done || unmarked.length === AT_ONCE) {
        await this.#delete(kind, unmarked);
        unmarked = [];
        this.#options.signal?.throwIfAborted();
      }
      if (done) return true;
      if (++this.#looked % 1024 === 0) await this.#options.onLook(this.#looked);
    }
    await this.#delete(kind, unmarked);
    return false;
  }

  #isUnmarked(kind: ValueKind, key: string): boolean {
    const digest = key.slice(kind.length + 1);
    return DIGEST.test(digest) && !this.#options.reach.has(kind, fromHex(digest));
  }

  async #delete(kind: ValueKind, keys: string[]): Promise<void> {
    const { guard, reach } = this.#options;
    if (guard) {
      for (const key of keys) {
        if (guard.usedLately(key)) await reach.addValue(kind, fromHex(key.slice(kind.length + 1)));
      }
    }
    const results = await Promise.allSettled(keys.map((key) => this.#deleteOne(kind, key)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async #deleteOne(kind: ValueKind, key: string): Promise<void> {
    const { bytes, guard, reach, dryRun, lengthOf } = this.#options;
    if (!this.#isUnmarked(kind, key)) return; // marked since
    const length = await lengthOf?.(key) ?? 0;
    if (dryRun) {
      // Told below.
    } else if (!guard) {
      await bytes.delete(key);
    } else if (!await guard.deleteUnused(key)) {
      await reach.addValue(kind, fromHex(key.slice(kind.length + 1))); // used just now: so is what it stands for
      return;
    }
    if (!dryRun) this.#options.onDeleted(key);
    this.#values++;
    this.#bytes += length;
  }
}
