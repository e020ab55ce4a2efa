/** A ByteStore that fails once its database is gone, also for what would still be answered from memory. */
import type { Bytes } from "../../bytes/bytes.ts";
import type { ByteRange } from "../../castore/byte_store.ts";
import type { PackedStore } from "../../combinators/packed.ts";
import type { Connection } from "./connection.ts";

export class WhileThere implements PackedStore {
  constructor(readonly connection: Connection, readonly store: PackedStore) {}

  async get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    this.#check();
    return await this.store.get(key, range);
  }

  atHand(key: string): Bytes | undefined {
    this.#check();
    return this.store.atHand?.(key);
  }

  async getStored(keys: readonly string[]): ReturnType<PackedStore["getStored"]> {
    this.#check();
    return await this.store.getStored(keys);
  }

  async has(key: string): Promise<boolean> {
    this.#check();
    return await this.store.has(key);
  }

  put(key: string, value: Bytes): Promise<void> {
    // Without a turn of its own: a put copies the value before it returns its promise.
    return this.connection.gone ? Promise.reject(this.connection.gone) : this.store.put(key, value);
  }

  async delete(key: string): Promise<void> {
    this.#check();
    await this.store.delete(key);
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    this.#check();
    yield* this.store.list(prefix);
  }

  async update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined> {
    this.#check();
    return await this.store.update(key, change);
  }

  async compact(options?: Parameters<PackedStore["compact"]>[0]): ReturnType<PackedStore["compact"]> {
    this.#check();
    return await this.store.compact(options);
  }

  async use(): ReturnType<PackedStore["use"]> {
    this.#check();
    return await this.store.use();
  }

  get taken(): PackedStore["taken"] {
    return this.store.taken;
  }

  async lengthOf(key: string): Promise<number | undefined> {
    this.#check();
    return await this.store.lengthOf(key);
  }

  async *lengths(prefix: string): ReturnType<PackedStore["lengths"]> {
    this.#check();
    yield* this.store.lengths(prefix);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
  }

  #check(): void {
    if (this.connection.gone) throw this.connection.gone;
  }
}
