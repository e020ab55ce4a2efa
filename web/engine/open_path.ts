/**
 * Opening a store path from a cache: from a firn server by what is lacking, from another one by its NAR.
 */
import { fetchNarFile } from "../../src/adapters/nix_http/binary_cache.ts";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { filesBelow } from "../../src/castore/closure_contents.ts";
import type { Node } from "../../src/castore/node.ts";
import { ClaimError, MissingError } from "../../src/errors.ts";
import type { NarInfo } from "../../src/nix/nar_info.ts";
import { formatStorePath } from "../../src/nix/store_path.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { parseNarUrl } from "../../src/store/nar_url.ts";
import { provenPathInfos } from "../../src/store/prove.ts";
import type { OpenOptions } from "./engine.ts";
import type { Job } from "./job.ts";
import { fetchFiles } from "./lacking_blobs.ts";
import { fetchDirectories } from "./lacking_directories.ts";
import type { KeptPath, TabStore } from "./tab_store.ts";
import { takeNar } from "./take_nar.ts";

/** Pieces in which a NAR's file is kept while it arrives. */
const ARRIVING_PIECE = 1024 * 1024;
/** Shorter files are fetched again. */
const WORTH_KEEPING = 4 * 1024 * 1024;
/** Most paths in a closure that is opened. */
export const MOST_PATHS = 20_000;

/** Opens a path, and all it refers to if that is wanted. Resolves to the hash parts, that of the path first. */
export async function openPath(
  hashPart: string,
  caches: readonly string[],
  options: OpenOptions,
  tab: TabStore,
  job: Job,
): Promise<string[]> {
  const opened: string[] = [];
  const wanted = [hashPart];
  const seen = new Set(wanted);
  for (const next of wanted) {
    const kept = await openOne(next, caches, options, tab, job);
    opened.push(next);
    if (!options.closure) break;
    for (const { hashPart } of kept.info.references) {
      if (seen.has(hashPart) || seen.size >= MOST_PATHS) continue;
      seen.add(hashPart);
      wanted.push(hashPart);
    }
  }
  return opened;
}

async function openOne(
  hashPart: string,
  caches: readonly string[],
  options: OpenOptions,
  tab: TabStore,
  job: Job,
): Promise<KeptPath> {
  job.enter("asking");
  const kept = await tab.find(hashPart);
  if (kept?.whole) return kept;
  if (kept && !options.everything) return kept;
  const found = await tab.findNarInfo(hashPart, caches, job);
  if (!found) {
    const where = caches.length > 0 ? caches.join(", ") : "no cache, for there are none in the settings";
    throw new MissingError("path", hashPart, `Cannot find ${hashPart}: asked ${where}`);
  }
  const { narInfo, cache } = found;
  const path = formatStorePath(narInfo.storePath);
  job.enter("asking", path);
  const before = await tab.records.unfinished(hashPart);
  await tab.records.putUnfinished(hashPart, {
    startedAt: Date.now(),
    ...before,
    path,
    cache,
    options,
    file: fileName(narInfo),
  });
  if (before && before.file !== fileName(narInfo)) await tab.records.deleteArriving(hashPart);
  const root = parseNarUrl(narInfo.url);
  if (root && await tab.siteOf(cache, job)) {
    await openLazily(narInfo, root.node, cache, tab, job);
    if (options.everything) await completePath(await tab.get(hashPart), tab, job);
  } else {
    await fetchNar(narInfo, cache, tab, job);
    const node = (await tab.services.pathInfos.get(hashPart))!.node;
    await tab.records.putOpened({ narInfo, node, whole: true, cache, openedAt: Date.now() });
  }
  await tab.records.deleteUnfinished(hashPart);
  return await tab.get(hashPart);
}

/** The Directories of a path, which tell the size of its NAR before any contents are here. */
async function openLazily(
  narInfo: NarInfo,
  node: Node,
  cache: string,
  tab: TabStore,
  job: Job,
): Promise<void> {
  job.enter("directories");
  await fetchDirectories(node, tab.home.bytes, await tab.contentsAt(cache, job), job);
  const { size } = await narLayout(node, tab.services.directories);
  if (size !== narInfo.narSize) throw new ClaimError("NarSize", String(narInfo.narSize), String(size));
  await tab.records.putOpened({ narInfo, node, whole: false, cache, openedAt: Date.now() });
}

/** Fetches all that a partial path lacks, recomputes what is claimed of it, and publishes it. */
export async function completePath(kept: KeptPath, tab: TabStore, job: Job): Promise<void> {
  if (kept.whole) return;
  const { info } = kept;
  job.enter("asking", formatStorePath(info.storePath));
  job.total = (job.total ?? job.done) + info.narSize;
  const contents = await tab.contentsFor(kept, job);
  const fetch = { store: tab.home.bytes, blobs: tab.services.blobs, contents, job };
  await fetchDirectories(info.node, tab.home.bytes, contents, job); // all are here, unless somebody took them away
  await fetchFiles(filesBelow(info.node, tab.services.directories), fetch);
  job.enter("verifying");
  const options = { ...tab.services, hashes: tab.hashes, signal: job.signal };
  await provenPathInfos(options).put(info);
  const record = await tab.records.opened(info.storePath.hashPart);
  if (record) await tab.records.putOpened({ ...record, whole: true, verifiedAt: Date.now() });
}

const fileName = (narInfo: NarInfo): string =>
  `${narInfo.url} ${narInfo.fileHash ? toHex(narInfo.fileHash.digest) : toHex(narInfo.narHash)}`;

/** Fetches the NAR of a path. What came of its file is kept until all of it is here, so that the next try goes on. */
async function fetchNar(narInfo: NarInfo, cache: string, tab: TabStore, job: Job): Promise<void> {
  job.enter("fetching");
  const { hashPart } = narInfo.storePath;
  const kept = await tab.records.arriving(hashPart);
  const stream = await fetchNarFile(await tab.remote(cache, job), narInfo.url, kept.length * ARRIVING_PIECE);
  const size = narInfo.fileSize ?? stream.size;
  if (size !== undefined) job.toMove = (job.toMove ?? job.moved) + size - stream.start;
  const worth = size === undefined || size >= WORTH_KEEPING;
  const pieces = worth ? arriving(stream.start > 0 ? kept : [], stream.pieces, hashPart, tab) : stream.pieces;
  try {
    await takeNar(pieces, { narInfo }, narInfo.compression, tab, job);
  } catch (error) {
    // What is wrong will not be right at the next try: then it is fetched anew.
    if (!job.signal.aborted && !isInterruption(error)) await tab.records.deleteArriving(hashPart);
    throw error;
  }
}

function isInterruption(error: unknown): boolean {
  return error instanceof Error && /^(RemoteError|AbortError|StoreFullError)$/.test(error.name);
}

/** The pieces that are kept, and those that come, which are kept as well. */
async function* arriving(
  kept: readonly string[],
  coming: AsyncIterable<Bytes>,
  hashPart: string,
  { home, records }: TabStore,
): AsyncGenerator<Bytes, void, void> {
  for (const key of kept) {
    const piece = await home.names.get(key);
    if (!piece) {
      throw new MissingError("piece", key, "Cannot go on with this: a piece that came before is gone");
    }
    yield piece;
  }
  let next = kept.length;
  let held: Bytes[] = [];
  let length = 0;
  for await (const piece of coming) {
    held.push(piece.slice());
    length += piece.length;
    if (length >= ARRIVING_PIECE) {
      const all = concat(held);
      let at = 0;
      for (; at + ARRIVING_PIECE <= length; at += ARRIVING_PIECE) {
        await home.names.put(records.arrivingKey(hashPart, next++), all.subarray(at, at + ARRIVING_PIECE));
      }
      held = [all.subarray(at)];
      length -= at;
    }
    yield piece;
  }
}
