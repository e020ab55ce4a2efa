/**
 * Closures, why one path needs another, and how two differ, told as the page is told of them.
 */
import { fetchNarInfo } from "../../src/adapters/nix_http/binary_cache.ts";
import { toHex } from "../../src/bytes/hex.ts";
import type { ChunkMeta } from "../../src/castore/blob_service.ts";
import type { Digest } from "../../src/castore/digest.ts";
import { RemoteError } from "../../src/errors.ts";
import { formatStorePath, type StorePath } from "../../src/nix/store_path.ts";
import { difference, sharedChunkBytes, type TreePart } from "../../src/store/difference.ts";
import { findInFiles } from "../../src/store/find_in_files.ts";
import {
  type ClosurePath,
  type PathClosure,
  pathClosure,
  shortestChain,
} from "../../src/store/path_closure.ts";
import type {
  ClosureGraph,
  DependsStep,
  Difference,
  DifferenceOptions,
  DifferingFile,
  PathState,
  WhyDepends,
} from "./engine.ts";
import type { Job } from "./job.ts";
import { nameText } from "./path_text.ts";
import { hashPartOf, type KeptPath, type TabStore } from "./tab_store.ts";

/** Mentions told for one step of a chain. */
const MOST_MENTIONS = 20;
/** Files whose chunks are compared. */
const MOST_CHUNKED = 20_000;
const MOST_LISTED = 10_000;

interface Known extends ClosurePath {
  readonly state: PathState | "known";
}

/** The closure of a path; what is not kept here is asked of the cache that it came from. */
async function closureOf(root: KeptPath, tab: TabStore, job: Job): Promise<PathClosure<Known>> {
  let cache = root.cache;
  return await pathClosure<Known>(knownOf(root), {
    signal: job.signal,
    find: async (hashPart) => {
      const kept = await tab.find(hashPart);
      if (kept) return knownOf(kept);
      if (cache === undefined) return undefined;
      try {
        const narInfo = await fetchNarInfo(await tab.remote(cache, job), hashPart);
        return narInfo && { ...narInfo, state: "known" };
      } catch (error) {
        if (!(error instanceof RemoteError) || error.status === 401) throw error;
        cache = undefined; // offline: the graph is of what is here
        return undefined;
      }
    },
  });
}

function knownOf({ info, whole }: KeptPath): Known {
  return {
    storePath: info.storePath,
    references: info.references,
    narSize: info.narSize,
    state: whole ? "whole" : "partial",
  };
}

export async function closureGraph(path: string, tab: TabStore, job: Job): Promise<ClosureGraph> {
  job.enter("asking");
  const { members, edges, absent, more } = await closureOf(await tab.get(path), tab, job);
  return {
    nodes: members.map(({ path, closureSize, depth }) => ({
      path: formatStorePath(path.storePath),
      name: path.storePath.name,
      narSize: path.narSize,
      closureSize,
      state: path.state,
      depth,
    })),
    edges,
    absent: absent.map((path) => formatStorePath(path)),
    more,
  };
}

export async function whyDepends(
  from: string,
  to: string,
  tab: TabStore,
  job: Job,
): Promise<WhyDepends | undefined> {
  job.enter("asking");
  const closure = await closureOf(await tab.get(from), tab, job);
  const goal = hashPartOf(to);
  const member = closure.members.find(({ path }) => path.storePath.hashPart === goal);
  const chain = member && shortestChain(closure, member.path.storePath);
  if (!chain) return undefined;
  const steps: DependsStep[] = [];
  for (const [i, { storePath }] of chain.entries()) {
    steps.push(await stepOf(storePath, chain[i + 1]?.storePath, tab, job));
  }
  return { chain: steps };
}

async function stepOf(
  storePath: StorePath,
  next: StorePath | undefined,
  tab: TabStore,
  job: Job,
): Promise<DependsStep> {
  const path = formatStorePath(storePath);
  if (!next) return { path, seen: [], unread: false };
  const kept = await tab.find(storePath.hashPart);
  if (!kept?.whole) return { path, seen: [], unread: true };
  job.enter("reading", path);
  const seen: { file: string; inTarget: boolean; offset: number }[] = [];
  const mentions = findInFiles(kept.info.node, next.hashPart, {
    ...tab.services,
    signal: job.signal,
    onBytes: (bytes) => job.count(bytes),
  });
  for await (const { path, inTarget, offset } of mentions) {
    seen.push({ file: path.map(nameText).join("/"), inTarget, offset });
    if (seen.length === MOST_MENTIONS) break;
  }
  return { path, seen, unread: false };
}

export async function differenceOf(
  beforePath: string,
  afterPath: string,
  { limit = MOST_LISTED }: DifferenceOptions,
  tab: TabStore,
  job: Job,
): Promise<Difference> {
  job.enter("reading");
  const [before, after] = [await tab.get(beforePath), await tab.get(afterPath)];
  const { added, removed, changed, moved, sums, bytes, only } = await difference(
    before.info.node,
    after.info.node,
    tab.services.directories,
    { list: Math.min(limit, MOST_LISTED) },
  );
  const chunksOf = chunkFinder([before, after], tab, job);
  const few = only.before.length + only.after.length <= MOST_CHUNKED;
  const shared = few ? await sharedChunkBytes(only.after, only.before, chunksOf) : undefined;
  const changes = [];
  for (const { before, after, change } of changed) {
    const both = change === "contents" && few && before.node.type === "file" && after.node.type === "file";
    const shared = both ? await sharedChunkBytes([after.node], [before.node], chunksOf) : undefined;
    changes.push({
      file: fileOf(after),
      before: differing(before),
      after: differing(after),
      change,
      ...(shared !== undefined && { shared }),
    });
  }
  return {
    before: formatStorePath(before.info.storePath),
    after: formatStorePath(after.info.storePath),
    added: added.map(differing),
    removed: removed.map(differing),
    changed: changes,
    moved: moved.map(({ before, after }) => ({
      from: fileOf(before),
      to: fileOf(after),
      size: after.bytes,
      digest: after.node.type === "symlink" ? "" : toHex(after.node.digest),
    })),
    sums,
    bytes: {
      ...bytes,
      ...(shared !== undefined && { inSharedChunks: bytes.inSharedFiles + shared }),
    },
  };
}

/** Lists of chunks: those that are here, else as the caches tell them, which is enough for a comparison. */
function chunkFinder(
  kept: readonly KeptPath[],
  tab: TabStore,
  job: Job,
): (digest: Digest) => Promise<readonly ChunkMeta[] | undefined> {
  const caches = new Set(kept.flatMap(({ whole, cache }) => whole || cache === undefined ? [] : [cache]));
  const lists = new Map<string, readonly ChunkMeta[] | undefined>();
  return async (digest) => {
    const key = toHex(digest);
    if (lists.has(key)) return lists.get(key);
    let list = await tab.services.blobs.chunks(digest);
    for (const cache of list ? [] : caches) {
      try {
        [list] = await (await tab.contentsAt(cache, job)).chunkLists([digest]);
      } catch (error) {
        if (!(error instanceof RemoteError)) throw error;
        caches.delete(cache); // it cannot be reached: what is shared is not told then
      }
      if (list) break;
    }
    lists.set(key, list);
    return list;
  };
}

function fileOf({ path }: TreePart): string {
  return path.map(nameText).join("/");
}

function differing(part: TreePart): DifferingFile {
  const { node, bytes } = part;
  const file = fileOf(part);
  if (node.type === "symlink") return { file, type: node.type, size: 0 };
  return { file, type: node.type, size: bytes, digest: toHex(node.digest) };
}
