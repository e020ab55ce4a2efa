/**
 * Short values and deletes that are asked for at the same time share one atomic: a commit waits for the disk, or for
 * the network, and one wait for a hundred values costs as much as for one.
 */
import { Budget } from "../../bytes/budget.ts";
import type { Bytes } from "../../bytes/bytes.ts";
import { commit, pauseBefore } from "./commit.ts";
import type { LongValues } from "./long_values.ts";
import { type Head, type HeadEntry, type Keys, type KvLike, longHead } from "./records.ts";

/** Of the 819,200 bytes an atomic may have, keys included. */
const MOST_BYTES = 780_000;
/** What a key may add beside its own text, which stands in a check and in a mutation, and the draft of an old value. */
const BYTES_PER_KEY = 400;
/** Atomics on their way at once: a local file needs one, a far one is waited for. */
const ATOMICS = 4;
/** Keys Deno KV allows one `getMany`. */
const KEYS_PER_READ = 10;

interface Group {
  /** Values to set; `undefined` is a delete. */
  readonly changes: Map<string, Bytes | undefined>;
  bytes: number;
  readonly done: PromiseWithResolvers<void>;
}

/** Gathers changes into atomics. */
export class GroupCommit {
  #atomics = new Budget(ATOMICS);
  /** The group that may still be joined. */
  #open: Group | undefined;

  /** @param mostKeys how many checks an atomic may have: there is one for each key */
  constructor(
    readonly kv: KvLike,
    readonly keys: Keys,
    readonly longValues: LongValues,
    readonly mostKeys: number,
  ) {}

  /** Sets or deletes (`undefined`) a value of at most one piece, which is the callee's now. Resolves when durable. */
  change(key: string, value: Bytes | undefined): Promise<void> {
    const bytes = BYTES_PER_KEY + 2 * key.length + (value?.length ?? 0);
    let group = this.#open;
    if (!group || group.changes.size >= this.mostKeys || group.bytes + bytes > MOST_BYTES) {
      group = { changes: new Map(), bytes: 0, done: Promise.withResolvers() };
      this.#open = group;
      this.#run(group);
    }
    // Of two changes of one key in a group the later one wins, as if it had come just after the first.
    group.changes.set(key, value);
    group.bytes += bytes;
    return group.done.promise;
  }

  async #run(group: Group): Promise<void> {
    // Even without a wait this lets everybody join who calls in the same turn of the event loop.
    await this.#atomics.take(1);
    if (this.#open === group) this.#open = undefined;
    try {
      await this.#commit(group.changes);
      group.done.resolve();
    } catch (error) {
      group.done.reject(error);
    } finally {
      this.#atomics.give(1);
    }
  }

  /** Every key is checked, so that no long value is replaced unseen and its pieces are left behind. */
  async #commit(changes: Map<string, Bytes | undefined>): Promise<void> {
    const keys = [...changes.keys()].map((key) => this.keys.head(key));
    // New keys are the usual case: look at what is there only when something is, or is to go.
    const deletes = [...changes.values()].includes(undefined);
    let heads = deletes ? await this.#read(keys) : keys.map(absent);
    for (let attempt = 1;; attempt++) {
      const atomic = this.kv.atomic().check(...heads);
      const retired = heads.map(longHead).filter((head) => head !== undefined);
      for (const head of retired) this.longValues.retire(atomic, head);
      for (const [i, value] of [...changes.values()].entries()) {
        if (value) atomic.set(keys[i], value);
        else if (heads[i].versionstamp !== null) atomic.delete(keys[i]);
      }
      if (await commit(atomic) !== undefined) {
        await Promise.all(retired.map((head) => this.longValues.discard(head)));
        return;
      }
      if (attempt > 1) await pauseBefore(attempt);
      heads = await this.#read(keys);
    }
  }

  async #read(keys: readonly Deno.KvKey[]): Promise<HeadEntry[]> {
    const reads = [];
    for (let i = 0; i < keys.length; i += KEYS_PER_READ) {
      reads.push(this.kv.getMany<Head[]>(keys.slice(i, i + KEYS_PER_READ)));
    }
    return (await Promise.all(reads)).flat();
  }
}

function absent(key: Deno.KvKey): HeadEntry {
  return { key, value: null, versionstamp: null };
}
