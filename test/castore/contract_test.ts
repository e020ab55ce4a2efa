/** The contracts of the services can fail: each of these services breaks one promise, and its contract notices. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { openSqliteIndex } from "../../src/adapters/sqlite/sqlite_index.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { collect } from "../../src/bytes/streams.ts";
import type { BlobReader, BlobService } from "../../src/castore/blob_service.ts";
import type { DirectoryService } from "../../src/castore/directory_service.ts";
import { directoryDigest } from "../../src/castore/directory.ts";
import type { PackIndex } from "../../src/combinators/pack_index.ts";
import type { PathInfoService } from "../../src/store/path_info_service.ts";
import { type Services, servicesOver } from "../../src/store/services.ts";
import { EMPTY_DIGEST } from "../contract/_castore_samples.ts";
import { blobServiceContract } from "../contract/blob_service.ts";
import type { ContractCase } from "../contract/case.ts";
import { directoryServiceContract } from "../contract/directory_service.ts";
import { packIndexContract } from "../contract/pack_index.ts";
import { pathInfoServiceContract } from "../contract/path_info_service.ts";

const isEmpty = (digest: Uint8Array) => digest.every((byte, i) => byte === EMPTY_DIGEST[i]);

function readerOf(size: number, bytes: Promise<Uint8Array<ArrayBuffer>>): BlobReader {
  return {
    size,
    bytes: () => bytes,
    async *[Symbol.asyncIterator]() {
      yield await bytes;
    },
  };
}

const blobFaults: Record<string, (s: BlobService) => Partial<BlobService>> = {
  "always has the empty blob": (s) => ({ has: async (d) => isEmpty(d) || await s.has(d) }),
  "lists the empty blob as a chunk": (s) => ({
    chunks: async (d) => isEmpty(d) && await s.has(d) ? [{ digest: d, size: 0 }] : await s.chunks(d),
  }),
  "knows no chunks": (s) => ({ chunks: async (d) => await s.has(d) ? [] : undefined }),
  "has no outboards": (s) => ({ outboard: async (d) => await s.has(d) ? new Uint8Array(0) : undefined }),
  "puts the size before an outboard": (s) => ({
    outboard: async (d) => {
      const outboard = await s.outboard(d);
      return outboard && concat([new Uint8Array(8), outboard]);
    },
  }),
  "has an outboard of the empty blob always": (s) => ({
    outboard: async (d) => isEmpty(d) ? new Uint8Array(0) : await s.outboard(d),
  }),
  "puts together in another order": (s) => ({
    putAll: async (blobs) => (await s.putAll!(blobs)).toReversed(),
  }),
  "gets absent ones as empty": (s) => ({
    getAll: async (digests) => (await s.getAll!(digests)).map((bytes) => bytes ?? new Uint8Array(0)),
  }),
  "leaves absent ones out": (s) => ({
    getAll: async (digests) => (await s.getAll!(digests)).filter((bytes) => bytes !== undefined),
  }),
  "says the size of the range": (s) => ({
    open: async (d, o) => {
      const reader = await s.open(d, o);
      const bytes = await reader?.bytes();
      return bytes && readerOf(bytes.length, Promise.resolve(bytes));
    },
  }),
  "forgets the range": (s) => ({ open: (d) => s.open(d) }),
  "reads one byte too much": (s) => ({
    open: (d, o) => s.open(d, o?.range && { range: { start: o.range.start, end: o.range.end + 1 } }),
  }),
  "gives all in one piece": (s) => ({
    open: async (d, o) => {
      const reader = await s.open(d, o);
      return reader && readerOf(reader.size, reader.bytes());
    },
  }),
  "copies late": (s) => ({
    put: async (source) => (await Promise.resolve(), await s.put(source)),
  }),
  "holds on to pieces": (s) => ({
    put: async (source) => {
      if (source instanceof Uint8Array) return await s.put(source);
      return await s.put(concat(await Array.fromAsync(source)));
    },
  }),
  "stores what came before its source failed": (s) => ({
    put: async (source) => {
      if (source instanceof Uint8Array) return await s.put(source);
      const parts: Uint8Array[] = [];
      try {
        for await (const part of source) parts.push(part.slice());
      } finally {
        await s.put(concat(parts));
      }
      return await s.put(concat(parts));
    },
  }),
  "takes the end of the first piece for the end": (s) => ({
    put: async (source) => {
      if (source instanceof Uint8Array) return await s.put(source);
      for await (const part of source) if (part.length > 0) return await s.put(part);
      return await s.put(await collect(source));
    },
  }),
};

const directoryFaults: Record<string, (s: DirectoryService) => Partial<DirectoryService>> = {
  "gives a Directory twice": (s) => ({
    async *getClosure(root) {
      for await (const named of s.getClosure(root)) yield* [named, named];
    },
  }),
  "gives leaves first": (s) => ({
    async *getClosure(root) {
      yield* (await Array.fromAsync(s.getClosure(root))).reverse();
    },
  }),
  "throws for an absent root": (s) => ({
    async *getClosure(root) {
      if (!await s.get(root)) throw new Error("absent");
      yield* s.getClosure(root);
    },
  }),
  "takes a child that is stored": (s) => ({
    putClosure: async (all) => {
      const list = await Array.fromAsync(all);
      const stored = list.length === 1 && list[0].items.length > 0;
      const children = stored
        ? list[0].items.flatMap(({ node }) => node.type === "directory" ? [node.digest] : [])
        : [];
      const found = await Promise.all(children.map((digest) => s.get(digest)));
      return await s.putClosure([...found.flatMap((child) => child ?? []), ...list]);
    },
  }),
  "takes nothing for the empty Directory": (s) => ({
    putClosure: async (all) => {
      const list = await Array.fromAsync(all);
      return await s.putClosure(list.length === 0 ? [{ items: [] }] : list);
    },
  }),
  "leaves out what is not connected": (s) => ({
    putClosure: async (all) => {
      const list = await Array.fromAsync(all);
      return await s.putClosure(list).catch((error) => {
        if (/connected/.test(error.message)) return directoryDigest(list.at(-1)!);
        throw error;
      });
    },
  }),
  "counts only one rule": (s) => ({
    putClosure: async (all) => {
      const list = await Array.fromAsync(all);
      const keep = list.at(-1)?.items.find(({ node }) => node.type === "directory" && node.size === 2n);
      if (keep && list.at(-1)!.items.length === 3) throw new Error("wrong size");
      return await s.putClosure(list);
    },
  }),
};

const pathInfoFaults: Record<string, (s: PathInfoService) => Partial<PathInfoService>> = {
  "replaces": (s) => ({ put: async (info) => (await s.delete(info.storePath.hashPart), await s.put(info)) }),
  "keeps the first": (s) => ({
    put: async (info) => await s.get(info.storePath.hashPart) ?? await s.put(info),
  }),
  "resolves to what it got": (s) => ({ put: async (info) => (await s.put(info), info) }),
  "lists one twice": (s) => ({
    async *list() {
      for await (const info of s.list()) yield* [info, info];
    },
  }),
  "lists without order": (s) => ({
    async *list() {
      yield* (await Array.fromAsync(s.list())).reverse();
    },
  }),
  "does not delete": () => ({ delete: () => Promise.resolve() }),
  "loses the deriver": (s) => ({ put: (info) => s.put({ ...info, deriver: undefined }) }),
};

const indexFaults: Record<string, (s: PackIndex) => Partial<PackIndex>> = {
  "says it is complete": () => ({ complete: true }),
  "takes all packs for large": (s) => ({ add: (pack, _, entries) => s.add(pack, false, entries) }),
  "knows nothing of what was forgotten": () => ({ deletedFrom: () => [] }),
  "lists without order": (s) => ({
    async *list(prefix) {
      yield* (await Array.fromAsync(s.list(prefix))).reverse();
    },
  }),
  "lists a thousand": (s) => ({
    async *list(prefix) {
      let count = 0;
      for await (const key of s.list(prefix)) if (count++ < 1000) yield key;
    },
  }),
  "forgets nothing": () => ({ delete: () => Promise.resolve() }),
  "tells other lengths": (s) => ({
    async *lengths(prefix) {
      for await (const { key, length } of s.lengths(prefix)) yield { key, length: length + 1 };
    },
  }),
  "says it holds every pack": () => ({ hasPack: () => true }),
};

/** Something sound with some methods replaced; the others keep their `this`. */
function faulty<T extends object>(sound: T, fault: (sound: T) => Partial<T>): T {
  const replaced = fault(sound);
  return new Proxy(sound, {
    get(target, name) {
      const from = name in replaced ? replaced : target;
      const member = from[name as keyof typeof from] as unknown;
      return typeof member === "function" ? member.bind(from) : member;
    },
  });
}

async function breaks<T>(cases: readonly ContractCase<T>[], make: () => Promise<T>): Promise<boolean> {
  for (const { run } of cases) {
    try {
      await run(make);
    } catch {
      return true;
    }
  }
  return false;
}

function noticed<T extends object, S>(
  what: string,
  cases: readonly ContractCase<S>[],
  faults: Record<string, (sound: T) => Partial<T>>,
  make: (fault: (sound: T) => Partial<T>) => Promise<S>,
): void {
  for (const [name, fault] of Object.entries(faults)) {
    Deno.test(`the contract notices a ${what} that ${name}`, async () => {
      assert.equal(await breaks(cases, () => make(fault)), true);
    });
  }
  Deno.test(`the contract finds nothing wrong with a ${what} without a fault`, async () => {
    for (const { run } of cases) await run(() => make(() => ({})));
  });
}

/** The services over memory, one of which is changed. */
function services(change: (sound: Services) => Partial<Services>): Services & AsyncDisposable {
  const sound = servicesOver({ names: openMemory(), bytes: openMemory() });
  return { ...sound, ...change(sound), [Symbol.asyncDispose]: async () => {} };
}

noticed("blob service", blobServiceContract, blobFaults, (fault) => {
  return Promise.resolve(services(({ blobs }) => ({ blobs: faulty(blobs, fault) })));
});
noticed("directory service", directoryServiceContract, directoryFaults, (fault) => {
  return Promise.resolve(services(({ directories }) => ({ directories: faulty(directories, fault) })));
});
noticed("path info service", pathInfoServiceContract, pathInfoFaults, (fault) => {
  return Promise.resolve(services(({ pathInfos }) => ({ pathInfos: faulty(pathInfos, fault) })));
});
noticed("pack index", packIndexContract, indexFaults, (fault) => {
  return Promise.resolve(faulty(openSqliteIndex(new DatabaseSync(":memory:")), fault));
});
