/**
 * What a store holds: how much its paths would be as archives, how much is left of that after sharing and how much room that takes
 * as it is stored, what is garbage, and of each path how large it is with all it refers to, and how much would come free if it were
 * deleted.
 *
 * Everything is walked over once, and what several paths share at most once more; that tells the plain lengths. Nothing but
 * Directories, lists and records is read. The stored lengths come from one pass over the store's own list of what it holds. Memory: about
 * 60 bytes a value, 300 a path and 4 a reference.
 */
import type { ByteStore } from "../castore/byte_store.ts";
import { fromHex } from "../bytes/hex.ts";
import { fromNixBase32 } from "../bytes/nixbase32.ts";
import { DigestTable } from "../castore/digest_table.ts";
import { narKey, SIDE_FILES } from "../castore/layout.ts";
import type { Digest } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import { lookAtPressed, walkContents } from "./contents.ts";
import { decodeUploadedNar } from "./messages.ts";
import { type Contents, type ContentsKind, Owners } from "./owners.ts";
import { PathGraph, readPathInfos } from "./path_graph.ts";
import type { PathInfo } from "./path_info.ts";
import { pressedName } from "./pressed_nar.ts";
import { sideFiles } from "./side_files.ts";

export interface StatisticsOptions {
  readonly names: ByteStore;
  readonly bytes: ByteStore;
  /** The stored values whose keys begin so, and the room that each takes; default: all are read. */
  readonly lengths?: (prefix: string) => AsyncIterable<{ readonly key: string; readonly length: number }>;
  readonly onProgress?: (progress: { paths: number; of: number; values: number }) => void;
  readonly signal?: AbortSignal;
}

/** Values and their bytes. */
export interface Amount {
  readonly values: number;
  readonly bytes: number;
}

export interface StoreStatistics {
  readonly paths: number;
  /** Bytes of the archives of all paths. */
  readonly narBytes: number;
  /** What is stored of paths, NARs without one, and side files: each distinct value once. */
  readonly contents: Readonly<Record<ContentsKind, Contents>>;
  /** Of these, what paths, NARs and side files are made of, plain: what is left after sharing. Pressed NARs only repeat it. */
  readonly distinct: Amount;
  /** Bytes that all contents take as they are stored. */
  readonly stored: number;
  /** What is stored and belongs to nothing, as it is stored: the next garbage collection may delete it. */
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
  /** Bytes, as they are stored, that no other path has: so much comes free if this one is deleted. */
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
  /** NARs that may be pressed, and whose they are. */
  const pressed: { owner: number; name: Digest }[] = [];
  const walk = async (node: Node) => {
    await walkContents(bytes, node, owners, signal);
    pressed.push({ owner: owners.owner, name: pressedName(node) });
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
  owners.beginRuns();
  for (const { owner, name } of pressed) {
    signal?.throwIfAborted();
    owners.owner = owner;
    await lookAtPressed(bytes, name, owners);
  }
  const garbage = await measureStored(options, owners);
  const { contents } = owners;
  return {
    paths,
    narBytes,
    contents,
    ...sumsOf(contents),
    garbage,
    broken: owners.brokenCount,
    eachPath: () => eachPath(names, graph, owners, signal),
  };
}

function sumsOf(contents: Record<ContentsKind, Contents>): Pick<StoreStatistics, "distinct" | "stored"> {
  const distinct = { values: 0, bytes: 0 };
  let all = 0;
  for (const [kind, { values, bytes, stored }] of Object.entries(contents)) {
    all += stored;
    if (kind === "run" || kind === "pressed") continue;
    distinct.values += values;
    distinct.bytes += bytes;
  }
  return { distinct, stored: all };
}

/** Tells the owners what their values take, and resolves to those that nobody owns. */
async function measureStored(
  { bytes, lengths = (prefix) => readLengths(bytes, prefix), signal }: StatisticsOptions,
  owners: Owners,
): Promise<Amount> {
  let values = 0;
  let sum = 0;
  for (const kind of ["pressed", "dir", "blob", "outboard", "chunk"] as const) {
    for await (const { key, length } of lengths(kind + "/")) {
      signal?.throwIfAborted();
      const digest = key.slice(kind.length + 1);
      if (!/^[0-9a-f]{64}$/.test(digest) || owners.stored(kind, fromHex(digest), length)) continue;
      values++;
      sum += length;
    }
  }
  return { values, bytes: sum };
}

async function* readLengths(
  bytes: ByteStore,
  prefix: string,
): AsyncGenerator<{ key: string; length: number }, void, void> {
  for await (const key of bytes.list(prefix)) {
    const value = await bytes.get(key);
    if (value) yield { key, length: value.length };
  }
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
