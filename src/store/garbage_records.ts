/**
 * The first half of a garbage collection: records go before what they speak of. Side files of a path, then its path info;
 * then what was noted of NARs that no path has any more.
 */
import { Background } from "../bytes/background.ts";
import { type Bytes, equals } from "../bytes/bytes.ts";
import { fromNixBase32 } from "../bytes/nixbase32.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { DigestTable } from "../castore/digest_table.ts";
import { narKey, pathKey, uploadKey } from "../castore/layout.ts";
import { parseStorePathBase, storePathBase } from "../nix/store_path.ts";
import { decodeStoredPath, decodeUploadedFile, decodeUploadedNar } from "./messages.ts";
import { type PathGraph, readPathInfos } from "./path_graph.ts";
import type { PathInfoService } from "./path_info_service.ts";
import { referrersFirst } from "./paths_to_delete.ts";
import { type SideFileStore, sideFilesWhere } from "./side_files.ts";

/** Records changed at once. */
const AT_ONCE = 64;

export interface RecordStore extends SideFileStore {
  readonly pathInfos: PathInfoService;
  /** Nothing is deleted, only counted. */
  readonly dryRun: boolean;
  readonly signal?: AbortSignal;
}

/** Does something with many, some at a time. */
async function each<T>(
  items: Iterable<T>,
  signal: AbortSignal | undefined,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const background = new Background(AT_ONCE);
  try {
    for (const item of items) {
      signal?.throwIfAborted();
      await background.room(1);
      background.follow(1, work(item));
    }
  } finally {
    await background.idle();
  }
  background.check();
}

/** Deletes paths with their side files. Returns how many side files there were. */
export async function deletePathRecords(
  graph: PathGraph,
  gone: ReadonlySet<number>,
  store: RecordStore,
  onDeleted: () => Promise<void>,
): Promise<number> {
  if (gone.size === 0) return 0;
  let sideFiles = await deleteRealisations(graph, gone, store);
  const built = new Set<number>();
  for (const number of graph.present()) {
    if (!gone.has(number)) built.add(graph.nodes[number].deriver).add(number);
  }
  for (const layer of referrersFirst(graph, gone)) {
    await each(layer, store.signal, async (number) => {
      const { hashPart } = graph.nodes[number];
      sideFiles += await deleteLogs(number, graph, built, store);
      if (!store.dryRun) await store.pathInfos.delete(hashPart);
      await onDeleted();
    });
  }
  return sideFiles;
}

/** The logs of a path that goes: of its derivation, unless another path that stays was built by it, and if it is one, its own. */
async function deleteLogs(
  number: number,
  graph: PathGraph,
  built: ReadonlySet<number>,
  { names, dryRun }: RecordStore,
): Promise<number> {
  const { hashPart, deriver } = graph.nodes[number];
  const value = await names.get(pathKey(hashPart));
  if (!value) return 0;
  const info = decodeStoredPath(value);
  const bases: string[] = [];
  if (info.deriver && !built.has(deriver)) bases.push(storePathBase(info.deriver));
  if (info.storePath.name.endsWith(".drv") && !built.has(number)) bases.push(storePathBase(info.storePath));
  let count = 0;
  for (const base of bases) {
    if (!await names.has(`log/${base}`)) continue;
    count++;
    if (!dryRun) await names.delete(`log/${base}`);
  }
  return count;
}

/** Realisations of paths that go. */
async function deleteRealisations(
  graph: PathGraph,
  gone: ReadonlySet<number>,
  store: RecordStore,
): Promise<number> {
  const isGone = ({ outPath }: Record<string, unknown>) => {
    if (typeof outPath !== "string") return false;
    const number = hashPartOf(outPath.slice(outPath.lastIndexOf("/") + 1), graph);
    return number !== undefined && gone.has(number);
  };
  let count = 0;
  for (const prefix of ["realisations/", "build-trace-v2/"]) {
    for await (const key of sideFilesWhere(store, prefix, isGone)) {
      count++;
      if (!store.dryRun) await store.names.delete(key);
    }
  }
  return count;
}

function hashPartOf(base: string, graph: PathGraph): number | undefined {
  try {
    return graph.numberOf(parseStorePathBase(base).hashPart);
  } catch {
    return undefined; // not a store path, so none that goes
  }
}

/** Which records of NARs stay: those of the paths that stay, and those that came lately. */
export class NarRule {
  #hashes = new DigestTable();

  private constructor(readonly keepFrom: number) {}

  /** @param isGone whether a path, by its hash part, does not count */
  static async read(
    names: ByteStore,
    keepFrom: number,
    isGone: (hashPart: string) => boolean,
    signal?: AbortSignal,
  ): Promise<NarRule> {
    const rule = new NarRule(keepFrom);
    for await (const info of readPathInfos(names, signal)) {
      if (!isGone(info.storePath.hashPart)) rule.#hashes.add(info.narSha256);
    }
    return rule;
  }

  stays(narSha256: Bytes, receivedAt: number): boolean {
    return receivedAt > this.keepFrom || this.#hashes.has(narSha256);
  }
}

/** Deletes what is known of NARs that do not stay. Returns how many there were, and how many side files spoke of them. */
export async function deleteNarRecords(
  rule: NarRule,
  store: RecordStore,
): Promise<{ nars: number; sideFiles: number }> {
  const { names, signal } = store;
  let nars = 0;
  for await (const key of names.list(narKey(""))) {
    signal?.throwIfAborted();
    const narSha256 = fromNixBase32(key.slice(narKey("").length));
    const stale = (value: Bytes) => !rule.stays(narSha256, decodeUploadedNar(value).receivedAt);
    if (await deleteIf(key, stale, store)) nars++;
  }
  const files = new Set<string>();
  for await (const key of names.list(uploadKey(""))) {
    signal?.throwIfAborted();
    const value = await names.get(key);
    if (!value) continue;
    const { narSha256, receivedAt } = decodeUploadedFile(value);
    if (!rule.stays(narSha256, receivedAt)) files.add(key.slice(uploadKey("").length));
  }
  const sideFiles = await deleteDebugInfo(files, store);
  await each(files, signal, async (name) => {
    const stale = (value: Bytes) => {
      const { narSha256, receivedAt } = decodeUploadedFile(value);
      return !rule.stays(narSha256, receivedAt);
    };
    await deleteIf(uploadKey(name), stale, store);
  });
  return { nars, sideFiles };
}

/** Debug information that names an uploaded file that goes: it is of no use without. */
async function deleteDebugInfo(files: ReadonlySet<string>, store: RecordStore): Promise<number> {
  if (files.size === 0) return 0;
  const isGone = ({ archive }: Record<string, unknown>) => {
    return typeof archive === "string" && files.has(archive.slice(archive.lastIndexOf("/") + 1));
  };
  let count = 0;
  for await (const key of sideFilesWhere(store, "debuginfo/", isGone)) {
    count++;
    if (!store.dryRun) await store.names.delete(key);
  }
  return count;
}

/** Deletes a record unless somebody wrote it anew meanwhile. Resolves to whether it goes. */
async function deleteIf(
  key: string,
  stale: (value: Bytes) => boolean,
  { names, dryRun }: RecordStore,
): Promise<boolean> {
  const value = await names.get(key);
  if (!value || !stale(value)) return false;
  if (dryRun) return true;
  return await names.update(key, (now) => now && equals(now, value) ? undefined : now) === undefined;
}
