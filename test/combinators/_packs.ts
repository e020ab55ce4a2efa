/** Packed stores for tests: over stores in memory that are watched, with either index. */
import { DatabaseSync } from "node:sqlite";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { openSqliteIndex } from "../../src/adapters/sqlite/sqlite_index.ts";
import { indexOver, type PackIndex } from "../../src/combinators/pack_index.ts";
import { openPacked, type PackedStore } from "../../src/combinators/packed.ts";
import { WatchedStore } from "../castore/_watched_store.ts";

/** The kinds of index a packed store is tested with. */
export const INDEXES: Record<string, () => Promise<PackIndex>> = {
  "an index in memory": () => indexOver(openMemory()),
  "an index in SQLite": () => Promise.resolve(openSqliteIndex(new DatabaseSync(":memory:"))),
};

/** A packed store and what it is made of. */
export interface Packs extends AsyncDisposable {
  readonly store: PackedStore;
  /** Large packs. */
  readonly bytes: WatchedStore;
  /** Small packs. */
  readonly names: WatchedStore;
  readonly index: PackIndex;
}

/** Opens a packed store, over new stores unless some are given. */
export async function openPacks(
  makeIndex = INDEXES["an index in SQLite"],
  bytes = new WatchedStore(openMemory()),
  names = new WatchedStore(openMemory()),
): Promise<Packs> {
  const index = await makeIndex();
  const store = await openPacked({ bytes, names, index });
  return { store, bytes, names, index, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** All keys of a store. */
export async function keysOf(store: { list(prefix: string): AsyncIterable<string> }): Promise<string[]> {
  return await Array.fromAsync(store.list(""));
}

/** Registers a test for each kind of index. */
export function packsTest(name: string, test: (packs: Packs) => Promise<void>): void {
  for (const [kind, makeIndex] of Object.entries(INDEXES)) {
    Deno.test(`packed with ${kind}: ${name}`, async () => {
      await using packs = await openPacks(makeIndex);
      await test(packs);
    });
  }
}
