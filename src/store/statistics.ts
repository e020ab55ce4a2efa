/**
 * What a store holds: how much its paths would be as archives, how much is left of that after sharing, what is garbage, and of each
 * path how large it is with all it refers to, and how much would come free if it were deleted.
 *
 * Everything is walked over once, and what several paths share at most once more. Nothing but Directories, lists and records is
 * read. Memory: about 60 bytes a value, 300 a path and 4 a reference.
 */
import type { ByteStore } from "../castore/byte_store.ts";
import { fromHex } from "../bytes/hex.ts";
import { fromNixBase32 } from "../bytes/nixbase32.ts";
import { DigestTable } from "../castore/digest_table.ts";
import { narKey, SIDE_FILES } from "../castore/layout.ts";
import type { Node } from "../castore/node.ts";
import { lookAtPressed, type ValueKind, walkContents } from "./contents.ts";
import { decodeUploadedNar } from "./messages.ts";
import { Owners } from "./owners.ts";
import { PathGraph, readPathInfos } from "./path_graph.ts";
import type { PathInfo } from "./path_info.ts";
import { pressedName } from "./pressed_nar.ts";
import { sideFiles } from "./side_files.ts";

export interface StatisticsOptions {
  readonly names: ByteStore;
  readonly bytes: ByteStore;
  /** The length of a stored value without reading it; default: it is read. Only garbage is asked for. */
  readonly lengthOf?: (key: string) => number | undefined | Promise<number | undefined>;
  readonly onProgress?: (progress: { paths: number; of: number; values: number }) => void;
  readonly signal?: AbortSignal;
}

/** Values and their bytes, as they are stored. */
export interface Amount {
  readonly values: number;
  readonly bytes: number;
}

export interface StoreStatistics {
  readonly paths: number;
  /** Bytes of the archives of all paths. */
  readonly narBytes: number;
  /** What is stored of paths, NARs without one, and side files: each distinct value once. */
  readonly contents: Readonly<Record<ValueKind, Amount>>;
  /** What is stored and belongs to nothing: the next garbage collection may delete it. */
  readonly garbage: Amount;
  /** Files and Directories of paths that are not there, or are damaged. */
  readonly broken: number;
  /** Of each path, in the order of `PathInfoService.list`. */
  eachPath(): AsyncIterable<PathStatistics>;
}

export interface PathStatistics {
  readonly info: PathInfo;
  /** Bytes of the archives of it and of all it refers to, as far as they are here. */
  readonly closureSize: number;
  /** Paths among those. */
  readonly closurePaths: number;
  /** Stored bytes that no other path has: so much comes free if this one is deleted. */
  readonly ownBytes: number;
}

/** Looks through a store. What is uploaded or deleted meanwhile may or may not count. */
export async function measureStore(options: StatisticsOptions): Promise<StoreStatistics> {
  const { names, bytes, signal, onProgress } = options;
  const graph = await PathGraph.read(names, signal);
  /** Two owners that are no path: NARs, and side files. */
  const [nars, side] = [graph.nodes.length, graph.nodes.length + 1];
  const owners = new Owners(graph.nodes.length + 2);
  const of = [...graph.present()].length;
  const walk = async (node: Node) => {
    await walkContents(bytes, node, owners, signal);
    await lookAtPressed(bytes, pressedName(node), owners);
  };
  const hashes = new DigestTable();
  const pathOfHash: number[] = [];
  let paths = 0;
  let narBytes = 0;
  for await (const { storePath, narSha256, node, narSize } of readPathInfos(names, signal)) {
    const owner = graph.numberOf(storePath.hashPart);
    if (owner === undefined) continue; // it came just now
    pathOfHash.push(...hashes.add(narSha256) ? [owner] : []);
    owners.owner = owner;
    await walk(node);
    narBytes += narSize;
    paths++;
    onProgress?.({ paths, of, values: owners.size });
  }
  for await (const key of names.list(narKey(""))) {
    const value = await names.get(key);
    if (!value) continue;
    // Of a path that is here it may have another root, of Directories sized by another rule: they are the path's.
    const known = hashes.indexOf(fromNixBase32(key.slice(narKey("").length)));
    owners.owner = known < 0 ? nars : pathOfHash[known];
    await walk(decodeUploadedNar(value).root);
  }
  owners.owner = side;
  for (const prefix of SIDE_FILES) {
    for await (const { file } of sideFiles(names, prefix)) {
      await walkContents(bytes, { type: "file", ...file, executable: false }, owners, signal);
    }
  }
  const amountOf = (kind: ValueKind): Amount => {
    const { digests, bytes } = owners.kinds[kind];
    return { values: digests.size, bytes };
  };
  return {
    paths,
    narBytes,
    contents: {
      chunk: amountOf("chunk"),
      blob: amountOf("blob"),
      outboard: amountOf("outboard"),
      dir: amountOf("dir"),
      pressed: amountOf("pressed"),
    },
    garbage: await measureGarbage(options, owners),
    broken: owners.brokenCount,
    eachPath: () => eachPath(names, graph, owners, signal),
  };
}

/** Stored values that nobody owns. */
async function measureGarbage(
  { bytes, lengthOf, signal }: StatisticsOptions,
  { kinds }: Owners,
): Promise<Amount> {
  let values = 0;
  let sum = 0;
  for (const kind of ["pressed", "dir", "blob", "outboard", "chunk"] as const) {
    for await (const key of bytes.list(kind + "/")) {
      signal?.throwIfAborted();
      const digest = key.slice(kind.length + 1);
      if (!/^[0-9a-f]{64}$/.test(digest) || kinds[kind].digests.has(fromHex(digest))) continue;
      values++;
      sum += await (lengthOf ? lengthOf(key) : bytes.get(key).then((value) => value?.length)) ?? 0;
    }
  }
  return { values, bytes: sum };
}

async function* eachPath(
  names: ByteStore,
  graph: PathGraph,
  { own }: Owners,
  signal: AbortSignal | undefined,
): AsyncGenerator<PathStatistics, void, void> {
  const marks = new Uint32Array(graph.nodes.length);
  let mark = 0;
  for await (const info of readPathInfos(names, signal)) {
    const number = graph.numberOf(info.storePath.hashPart);
    if (number === undefined) continue;
    let closureSize = 0;
    let closurePaths = 0;
    graph.markClosure([number], marks, ++mark, (member) => {
      closureSize += graph.nodes[member].narSize;
      closurePaths++;
    });
    yield { info, closureSize, closurePaths, ownBytes: own[number] };
  }
}
