import { LimitError } from "../errors.ts";
import type { Bytes } from "../bytes/bytes.ts";
import type { StoredForm } from "./stored_form.ts";

/** Bytes `start` (included) to `end` (not included), counted from 0. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The longest value a ByteStore takes, in bytes: 4 MiB. */
export const MAX_VALUE_LENGTH = 4 * 1024 * 1024;

/** The longest key, in characters. */
export const MAX_KEY_LENGTH = 512;

/**
 * What an adapter provides: values under keys. It is the only thing a platform has to offer to become a home.
 *
 * - A key is 1 to {@link MAX_KEY_LENGTH} characters from `!` to `~`; it means nothing to the store. Any two different
 *   keys name different values, also `a` and `a/b`, also `a` and `A`. Another key is a `TypeError`.
 * - A value is 0 to {@link MAX_VALUE_LENGTH} bytes; a longer one is a `LimitError` and nothing is written. There are
 *   no half-written values: a reader sees the old one, the new one, or none.
 * - The caller owns the bytes it passes and may reuse them once the call has returned its promise. The bytes it gets
 *   stay as they are, whatever happens to the value, and are only to be read: they may be a view of something larger.
 * - Absence is `undefined`, never an exception.
 * - All methods may be called concurrently. Adapters group concurrent `put`s into one transaction, so callers get
 *   speed from concurrency.
 * - A call that rejects has changed nothing, except that a rejected `put` may have been stored whole. No room is a
 *   `StoreFullError`.
 */
export interface ByteStore extends AsyncDisposable {
  /** The value, or those of its bytes that the range covers (the end is clamped, a start beyond it gives none). */
  get(key: string, range?: ByteRange): Promise<Bytes | undefined>;
  /**
   * The value, if this store has it in memory and needs nobody to give it; `undefined` says nothing, `get` tells. It
   * spares who reads thousands of small values their promises. A store without such memory leaves it out.
   */
  atHand?(key: string): Bytes | undefined;
  /**
   * Values as they are stored, compressed or not, in the order of their keys; `undefined` for one that is not there. For who sends
   * them on. A frame is what was written (it carries a check of its own, else this is a `DamageError`); plain bytes are proven by
   * who knows their digest. A store that compresses nothing leaves it out.
   */
  getStored?(keys: readonly string[]): Promise<(StoredForm | undefined)[]>;
  /**
   * Bytes that who reads many values in order should ask for ahead, where it is more than a disk needs: a store that is far away
   * answers many at once as quickly as one.
   */
  readonly readAhead?: number;
  /** Whether there is a value, without reading it. */
  has(key: string): Promise<boolean>;
  /** Stores the value, replacing another. Resolved means durable: it outlives a crash of process or machine. */
  put(key: string, value: Bytes): Promise<void>;
  /**
   * Whoever put values waits for them and has none to add, until the function returned is called: a store that keeps values waiting
   * for others stops that. One that does not leaves it out.
   */
  hurry?(): () => void;
  /** Removes the value. Absent already is fine. Resolved means durable. */
  delete(key: string): Promise<void>;
  /**
   * Keys that begin with `prefix` (all for `""`), in byte order, read lazily. Keys that come or go meanwhile may or
   * may not be among them; every other key is, once. Ending the loop early releases what it held.
   */
  list(prefix: string): AsyncIterable<string>;
  /**
   * Atomic change of one value by the platform's compare-and-set. `change` gets the value (`undefined`: absent) and
   * returns the new one, `undefined` to remove it, or the very bytes it got to leave it as it is. It may be called
   * again when another writer was faster, so it must only compute; what it throws is thrown, and nothing changes.
   * Resolves to the value that stands now.
   */
  update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined>;
}

/** Throws `TypeError` unless the key is one the contract allows. For adapters. */
export function checkKey(key: string, maxLength: number = MAX_KEY_LENGTH): void {
  if (key.length < 1 || key.length > maxLength || !/^[!-~]+$/.test(key)) {
    throw new TypeError(
      `Cannot use the key ${JSON.stringify(key.slice(0, 80))}: want 1 to ${maxLength} characters from ! to ~`,
    );
  }
}

/** Throws `LimitError` for a value that is too long. For adapters. */
export function checkValue(value: Uint8Array): void {
  if (value.length > MAX_VALUE_LENGTH) {
    throw new LimitError(
      MAX_VALUE_LENGTH,
      `Cannot store a value of ${value.length} bytes: at most ${MAX_VALUE_LENGTH}`,
    );
  }
}
