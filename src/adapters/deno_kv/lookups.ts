/**
 * Look-ups that are asked for at the same time share reads: Deno KV answers for ten keys at once, and a read costs as much for one
 * as for ten. So fewer than ten wait until a read that is under way has ended, if any is.
 */
import { Budget } from "../../bytes/budget.ts";
import type { KvLike } from "./records.ts";

/** Keys Deno KV allows one `getMany`. */
const KEYS_PER_READ = 10;
/** Reads on their way at once. */
const READS = 16;

interface Asked<T> {
  readonly key: Deno.KvKey;
  readonly resolve: (entry: Deno.KvEntryMaybe<T>) => void;
  readonly reject: (error: unknown) => void;
}

/** Reads of values of one kind. */
export class Lookups<T> {
  #kv: KvLike;
  #reads = new Budget(READS);
  #asked: Asked<T>[] = [];
  #waiting = false;

  constructor(kv: KvLike) {
    this.#kv = kv;
  }

  /** What stands at a key. */
  get(key: Deno.KvKey): Promise<Deno.KvEntryMaybe<T>> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ key, resolve, reject });
      if (this.#asked.length >= KEYS_PER_READ) this.#next();
      else if (this.#reads.used === 0 && !this.#waiting) {
        this.#waiting = true;
        queueMicrotask(() => {
          this.#waiting = false;
          this.#next();
        });
      }
    });
  }

  #next(): void {
    while (this.#asked.length > 0 && this.#reads.tryTake(1)) {
      this.#read(this.#asked.splice(0, KEYS_PER_READ));
      if (this.#asked.length < KEYS_PER_READ) return;
    }
  }

  async #read(asked: readonly Asked<T>[]): Promise<void> {
    try {
      const entries = await this.#kv.getMany<T[]>(asked.map(({ key }) => key));
      for (const [i, { resolve }] of asked.entries()) resolve(entries[i]);
    } catch (error) {
      for (const { reject } of asked) reject(error);
    } finally {
      this.#reads.give(1);
      this.#next();
    }
  }
}
