/**
 * A ByteStore in this process's memory: for tests, and for stores that need not outlast it. Durable means here until
 * the process ends.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { type ByteRange, type ByteStore, checkKey, checkValue } from "../../castore/byte_store.ts";

/** An empty ByteStore in memory. */
export function openMemory(): ByteStore {
  return new MemoryStore();
}

class MemoryStore implements ByteStore {
  #values = new Map<string, Bytes>();

  // deno-lint-ignore require-await
  async get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    checkKey(key);
    return range
      ? this.#values.get(key)?.subarray(range.start, Math.max(range.start, range.end))
      : this.#values.get(key);
  }

  atHand(key: string): Bytes | undefined {
    checkKey(key);
    return this.#values.get(key);
  }

  // deno-lint-ignore require-await
  async has(key: string): Promise<boolean> {
    checkKey(key);
    return this.#values.has(key);
  }

  // deno-lint-ignore require-await
  async put(key: string, value: Bytes): Promise<void> {
    checkKey(key);
    checkValue(value);
    this.#values.set(key, value.slice());
  }

  // deno-lint-ignore require-await
  async delete(key: string): Promise<void> {
    checkKey(key);
    this.#values.delete(key);
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    // Keys are ASCII, so the order of their UTF-16 units, which sort() uses, is the order of their bytes.
    const keys = [...this.#values.keys()].filter((key) => key.startsWith(prefix)).sort();
    for (const key of keys) if (this.#values.has(key)) yield key;
  }

  // deno-lint-ignore require-await
  async update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined> {
    checkKey(key);
    const current = this.#values.get(key)?.slice();
    const next = change(current);
    if (next === current) return current;
    if (next) {
      checkValue(next);
      this.#values.set(key, next.slice());
    } else {
      this.#values.delete(key);
    }
    return next;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
