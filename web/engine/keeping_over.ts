/** Pins and garbage collection of a tab's home, over those of the store. */
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { collectGarbage } from "../../src/store/garbage.ts";
import { pathInfosOver } from "../../src/store/path_infos_over.ts";
import { pinsOver } from "../../src/store/roots.ts";
import type { Home } from "../../src/store/services.ts";
import { measureStore } from "../../src/store/statistics.ts";
import type { Keeping } from "./keeping.ts";

/** What stores of packs can do besides. */
interface Packs extends ByteStore {
  lengthOf?(key: string): Promise<number | undefined>;
  lengths?(prefix: string): AsyncIterable<{ key: string; length: number }>;
  compact?(options?: { readonly signal?: AbortSignal }): Promise<unknown>;
}

/** Parts of long files that were looked at: chunks that no list names yet. */
const PARTS = "tab/part/";

export function openKeeping(home: Home): Keeping {
  const { names } = home;
  const bytes: Packs = home.bytes;
  const lengthOf = bytes.lengthOf?.bind(bytes) ?? (async (key: string) => (await bytes.get(key))?.length);
  const pins = pinsOver(names);

  async function hashParts(): Promise<Set<string>> {
    const all = new Set<string>();
    for await (const { storePath } of pathInfosOver(names).list()) all.add(storePath.hashPart);
    return all;
  }

  return {
    async pinned() {
      const pinned = new Set<string>();
      for await (const { hashPart } of pins.list()) pinned.add(hashPart);
      return pinned;
    },

    async pin(hashPart) {
      await pins.add(hashPart, hashPart); // under its own name: a tab has one pin a path
    },

    async unpin(hashPart) {
      for await (const pin of pins.list()) if (pin.hashPart === hashPart) await pins.remove(pin.name);
    },

    async collect({ remove, keep, partial, signal }) {
      const before = await hashParts();
      // Their chunks are in no list, so they go; what says that they are here goes first.
      for await (const key of names.list(PARTS)) await names.delete(key);
      const { bytes: freed } = await collectGarbage({
        names,
        bytes,
        alone: true, // who calls this holds the lock that everybody takes who writes
        delete: remove,
        keep,
        graceMs: 0,
        alsoKeep: partial,
        signal,
        lengthOf,
      });
      await bytes.compact?.({ signal });
      const after = await hashParts();
      return { paths: [...before].filter((hashPart) => !after.has(hashPart)), freed };
    },

    async statistics(signal) {
      const { contents, distinct, stored, garbage } = await measureStore({
        names,
        bytes,
        signal,
        lengths: bytes.lengths?.bind(bytes),
      });
      return {
        distinct: distinct.bytes,
        stored: stored + garbage.bytes,
        garbage: garbage.bytes,
        chunks: contents.chunk.values,
      };
    },
  };
}
