/**
 * Content-addressed values that may be deleted while others rely on them. Who puts a value that is there writes nothing, and who
 * asks for one may not send it; so a value that was used lately must stay, though nothing may refer to it yet.
 *
 * Uses are kept in two bitmaps of 2^26 bits, the older of which is dropped every half an hour: 16 MiB for any number of
 * values, and what was used in the last half hour, or up to an hour, is known. Two values may share a bit: then one counts as
 * used because the other is, which only keeps something longer (after a million uses, 3 of 100 unused ones).
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { ByteRange, ByteStore } from "./byte_store.ts";
import type { StoredForm } from "./stored_form.ts";

/** Bits of a bitmap, as a power of two. */
const BITS = 26;
/** Milliseconds after which the older bitmap is dropped. */
const WINDOW_MS = 30 * 60_000;

/** A ByteStore of content-addressed values that knows which were used lately. */
export interface GuardedStore extends ByteStore {
  /** The store below, for who must not count as a user. */
  readonly unguarded: ByteStore;
  /** Whether the value was put, read or asked for lately, by way of this object. May say so of one that was not. */
  usedLately(key: string): boolean;
  /** Until this is disposed of, no use is forgotten. */
  holdUses(): Disposable;
  /**
   * Deletes a value unless it was used lately. Resolves to whether it did. Who uses the value meanwhile waits and then finds
   * it gone.
   */
  deleteUnused(key: string): Promise<boolean>;
}

export interface GuardOptions {
  /** For how long a use is known at least, in milliseconds; default half an hour. */
  readonly windowMs?: number;
  /** Milliseconds, for intervals. */
  readonly now?: () => number;
}

/** Guards a store. All uses must go through the object returned, of which there is one in a process. */
export function guarded(store: ByteStore, options: GuardOptions = {}): GuardedStore {
  return new Guarded(store, options);
}

class Guarded implements GuardedStore {
  #current: Uint32Array | undefined;
  #previous: Uint32Array | undefined;
  #begun: number;
  #holds = 0;
  #deleting = new Map<string, Promise<void>>();
  #windowMs: number;
  #now: () => number;

  constructor(readonly unguarded: ByteStore, { windowMs, now }: GuardOptions) {
    this.#windowMs = windowMs ?? WINDOW_MS;
    this.#now = now ?? (() => performance.now());
    this.#begun = this.#now();
    this.readAhead = unguarded.readAhead;
    if (unguarded.hurry) this.hurry = () => unguarded.hurry!();
    if (unguarded.getStored) this.getStored = (keys) => this.#getStored(keys);
    if (unguarded.atHand) {
      this.atHand = (key) => {
        this.#use(key);
        return this.#deleting.has(key) ? undefined : unguarded.atHand!(key);
      };
    }
  }

  getStored?: (keys: readonly string[]) => Promise<(StoredForm | undefined)[]>;
  atHand?: (key: string) => Bytes | undefined;
  readonly readAhead: number | undefined;
  hurry?: () => () => void;

  get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    this.#use(key);
    const deleting = this.#deleting.get(key);
    return deleting ? deleting.then(() => this.unguarded.get(key, range)) : this.unguarded.get(key, range);
  }

  async #getStored(keys: readonly string[]): Promise<(StoredForm | undefined)[]> {
    const deleting: Promise<void>[] = [];
    for (const key of keys) {
      this.#use(key);
      const being = this.#deleting.get(key);
      if (being) deleting.push(being);
    }
    if (deleting.length > 0) await Promise.all(deleting);
    return await this.unguarded.getStored!(keys);
  }

  has(key: string): Promise<boolean> {
    this.#use(key);
    const deleting = this.#deleting.get(key);
    return deleting ? deleting.then(() => this.unguarded.has(key)) : this.unguarded.has(key);
  }

  put(key: string, value: Bytes): Promise<void> {
    this.#use(key);
    const deleting = this.#deleting.get(key);
    if (!deleting) return this.unguarded.put(key, value);
    const copy = value.slice();
    return deleting.then(() => this.unguarded.put(key, copy));
  }

  async update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined> {
    this.#use(key);
    await this.#deleting.get(key);
    return await this.unguarded.update(key, change);
  }

  async delete(key: string): Promise<void> {
    await this.#deleting.get(key);
    await this.unguarded.delete(key);
  }

  list(prefix: string): AsyncIterable<string> {
    return this.unguarded.list(prefix);
  }

  usedLately(key: string): boolean {
    this.#rotate();
    const bit = bitOf(key);
    return isSet(this.#current, bit) || isSet(this.#previous, bit);
  }

  holdUses(): Disposable {
    this.#rotate();
    this.#holds++;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#holds--;
        held = false;
      },
    };
  }

  async deleteUnused(key: string): Promise<boolean> {
    if (this.usedLately(key)) return false;
    // From the look until the entry here nothing else can run, so a use comes before the look or waits.
    const deleting = this.unguarded.delete(key);
    const over = deleting.then(() => {}, () => {}).then(() => void this.#deleting.delete(key));
    this.#deleting.set(key, over);
    await deleting;
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#deleting.values());
    await this.unguarded[Symbol.asyncDispose]();
  }

  #use(key: string): void {
    this.#rotate();
    const bit = bitOf(key);
    this.#current ??= new Uint32Array(1 << BITS - 5);
    this.#current[bit >>> 5] |= 1 << (bit & 31);
  }

  #rotate(): void {
    if (this.#holds > 0) return;
    const age = this.#now() - this.#begun;
    if (age < this.#windowMs) return;
    this.#begun = this.#now();
    this.#previous = age < 2 * this.#windowMs ? this.#current : undefined;
    this.#current = undefined;
  }
}

function isSet(bits: Uint32Array | undefined, bit: number): boolean {
  return bits !== undefined && (bits[bit >>> 5] >>> (bit & 31) & 1) === 1;
}

/** Some bits of the digest that a key ends in, or of another key's characters. */
function bitOf(key: string): number {
  let bits = 0;
  for (let i = Math.max(0, key.length - 8); i < key.length; i++) {
    const code = key.charCodeAt(i);
    bits = Math.imul(bits, 16) + (code < 58 ? code - 48 : code - 87) | 0;
  }
  return bits >>> 32 - BITS;
}
