/** Pins and garbage collection of a tab's home, over those of the store. */
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { StoreFullError } from "../../src/errors.ts";
import { collectGarbage, type CollectOptions } from "../../src/store/garbage.ts";
import { pathInfosOver } from "../../src/store/path_infos_over.ts";
import { pinsOver } from "../../src/store/roots.ts";
import type { Home } from "../../src/store/services.ts";
import { measureStore } from "../../src/store/statistics.ts";
import type { Keeping } from "./keeping.ts";

/** What stores of packs can do besides. */
interface Packs extends ByteStore {
  lengthOf?(key: string): Promise<number | undefined>;
  lengths?(prefix: string): AsyncIterable<{ key: string; length: number }>;
  compact?(options?: { readonly signal?: AbortSignal }): Promise<{ removed: number; rewritten: number }>;
  use?(): Promise<{ live: number }>;
}

/** What homes with a reserve can do besides. */
interface Roomy extends Home {
  makeRoom?<T>(work: () => Promise<T>): Promise<T>;
}

/** Parts of long files that were looked at: chunks that no list names yet. */
const PARTS = "tab/part/";

export function openKeeping(home: Roomy): Keeping {
  const { names } = home;
  const makeRoom = home.makeRoom ?? (<T>(work: () => Promise<T>) => work());
  const bytes: Packs = home.bytes;
  const lengthOf = bytes.lengthOf?.bind(bytes) ?? (async (key: string) => (await bytes.get(key))?.length);
  const pins = pinsOver(names);

  async function hashParts(): Promise<Set<string>> {
    const all = new Set<string>();
    for await (const { storePath } of pathInfosOver(names).list()) all.add(storePath.hashPart);
    return all;
  }

  /**
   * Collects garbage; returns the bytes of what was deleted. Forgetting very many values takes room, too: where there is not enough, that of
   * those forgotten so far is given back, and it goes on.
   */
  async function collectInTheEnd(options: CollectOptions): Promise<number> {
    const before = await bytes.use?.();
    for (let left = options.delete ?? [], again = false;; again = true) {
      try {
        const collected = await collectGarbage({ ...options, delete: left });
        // What was deleted by a try that failed is in no count.
        return again ? before!.live - (await bytes.use!()).live : collected.bytes;
      } catch (error) {
        if (!(error instanceof StoreFullError) || !bytes.compact || !bytes.use) throw error;
        const { removed, rewritten } = await bytes.compact({ signal: options.signal });
        if (removed + rewritten === 0) throw error;
        const there = await hashParts();
        left = left.filter((hashPart) => there.has(hashPart));
      }
    }
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

    collect({ remove, keep, partial, signal }) {
      return makeRoom(async () => {
        const before = await hashParts();
        // Their chunks are in no list, so they go; what says that they are here goes first.
        for await (const key of names.list(PARTS)) await names.delete(key);
        const freed = await collectInTheEnd({
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
      });
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
