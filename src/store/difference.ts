/**
 * How two trees differ, told from their Directories alone: what only one has, what changed, what moved, and how much they share.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { compare, equals } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import type { ChunkMeta } from "../castore/blob_service.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import type { DirectoryItem } from "../castore/directory.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import type { FileNode, Node } from "../castore/node.ts";
import { directoryItems } from "../castore/read_directory.ts";
import { LimitError, MissingError } from "../errors.ts";
import { DEFAULT_CHUNK_SIZES } from "../hash/fastcdc.ts";

/** Something in one of the trees. A folder stands for all below it. */
export interface TreePart {
  readonly path: readonly Bytes[];
  readonly node: Node;
  /** Bytes of the file, or of all files below. */
  readonly bytes: number;
  /** Files and symlinks: 1, or those below a folder. */
  readonly count: number;
}

export interface TreeChange {
  readonly before: TreePart;
  readonly after: TreePart;
  readonly change: "contents" | "executable" | "target" | "type";
}

export interface TreeMove {
  readonly before: TreePart;
  readonly after: TreePart;
}

/** Files and symlinks, and their bytes. */
export interface TreeSum {
  count: number;
  bytes: number;
}

export interface TreeDifference {
  readonly added: readonly TreePart[];
  readonly removed: readonly TreePart[];
  readonly changed: readonly TreeChange[];
  /** Contents (not empty) that only stand elsewhere. A folder that was added or removed still stands there with all below it. */
  readonly moved: readonly TreeMove[];
  /** Of all, also where the lists were cut off; `added` and `removed` without what moved. */
  readonly sums: Readonly<Record<"added" | "removed" | "changed" | "moved" | "same", TreeSum>>;
  readonly bytes: { readonly before: number; readonly after: number; readonly inSharedFiles: number };
  /** Distinct files that only the one or the other has: what chunks are compared of. */
  readonly only: { readonly before: readonly FileNode[]; readonly after: readonly FileNode[] };
}

export interface DifferenceLimits {
  /** Most parts in each list; default 10,000. */
  readonly list?: number;
  /** Most distinct files in each tree; default 4,000,000. A `LimitError` for more. */
  readonly files?: number;
}

/** Most folders inside each other. */
const MAX_DEPTH = 4096;
/** Most places looked at: few Directories that hold each other can stand for more than anybody could list. */
const MOST_PLACES = 10_000_000;

/** Compares two trees. Throws {@link MissingError} for a Directory that is not stored. */
export async function difference(
  before: Node,
  after: Node,
  directories: DirectoryService,
  limits: DifferenceLimits = {},
): Promise<TreeDifference> {
  const [old, now] = [
    await Tree.open(before, directories, limits),
    await Tree.open(after, directories, limits),
  ];
  const comparison = new Comparison(old, now, limits.list ?? 10_000);
  comparison.run(before, after);
  return comparison.result();
}

interface Measure {
  bytes: number;
  count: number;
}

/** One of the trees. */
class Tree {
  readonly files = new Map<string, FileNode>();
  #folders = new Map<string, Bytes>();
  #measures = new Map<string, Measure>();

  static async open(
    root: Node,
    directories: DirectoryService,
    { files = 4_000_000 }: DifferenceLimits,
  ): Promise<Tree> {
    const tree = new Tree();
    if (root.type === "file") tree.files.set(toHex(root.digest), root);
    if (root.type !== "directory") return tree;
    for await (const { digest, encoded } of directories.getClosure(root.digest)) {
      tree.#folders.set(toHex(digest), encoded);
      for (const { node } of directoryItems(encoded)) {
        if (node.type !== "file") continue;
        tree.files.set(toHex(node.digest), node);
        if (tree.files.size > files) {
          throw new LimitError(files, `Cannot compare: a tree has over ${files} files`);
        }
      }
    }
    if (tree.#folders.size === 0) throw new MissingError("directory", formatDigest(root.digest));
    tree.#measure(toHex(root.digest));
    return tree;
  }

  items(digest: Digest): Generator<DirectoryItem, void, void> {
    return directoryItems(this.#folders.get(toHex(digest))!);
  }

  part(path: readonly Bytes[], node: Node): TreePart {
    return { path, node, ...this.measure(node) };
  }

  measure(node: Node): Measure {
    if (node.type === "file") return { bytes: node.size, count: 1 };
    if (node.type === "symlink") return { bytes: 0, count: 1 };
    return this.#measures.get(toHex(node.digest))!;
  }

  #measure(root: string): void {
    const todo = [root];
    while (todo.length > 0) {
      const key = todo[todo.length - 1];
      const waiting: string[] = [];
      const sum = { bytes: 0, count: 0 };
      for (const { node } of directoryItems(this.#folders.get(key)!)) {
        const below = node.type === "directory" ? toHex(node.digest) : undefined;
        if (below !== undefined && !this.#measures.has(below)) waiting.push(below);
        else {
          const { bytes, count } = this.measure(node);
          sum.bytes += bytes;
          sum.count += count;
        }
      }
      if (waiting.length > 0) {
        todo.push(...waiting);
        if (todo.length > 1e7) throw new LimitError(1e7, "Cannot compare: a tree has too many folders");
        continue;
      }
      todo.pop();
      this.#measures.set(key, sum);
    }
  }
}

class Comparison {
  readonly #added: TreePart[] = [];
  readonly #removed: TreePart[] = [];
  readonly #changed: TreeChange[] = [];
  readonly #sums = {
    added: { count: 0, bytes: 0 },
    removed: { count: 0, bytes: 0 },
    changed: { count: 0, bytes: 0 },
    moved: { count: 0, bytes: 0 },
    same: { count: 0, bytes: 0 },
  };

  #places = 0;

  constructor(readonly old: Tree, readonly now: Tree, readonly limit: number) {}

  #look(): void {
    if (++this.#places > MOST_PLACES) {
      throw new LimitError(MOST_PLACES, `Cannot compare: the trees differ in over ${MOST_PLACES} places`);
    }
  }

  run(before: Node, after: Node): void {
    const todo: { before: Node; after: Node; path: readonly Bytes[] }[] = [{ before, after, path: [] }];
    for (let next = todo.pop(); next; next = todo.pop()) {
      const { before, after, path } = next;
      if (path.length > MAX_DEPTH) throw new LimitError(MAX_DEPTH, "Cannot compare: the trees are too deep");
      const change = changeOf(before, after);
      if (change === "same") add(this.#sums.same, this.now.measure(after));
      else if (change) {
        const parts = { before: this.old.part(path, before), after: this.now.part(path, after), change };
        add(this.#sums.changed, parts.after);
        this.#changed.push(parts);
      } else if (before.type === "directory" && after.type === "directory") {
        for (const pair of merged(this.old.items(before.digest), this.now.items(after.digest))) {
          this.#look();
          const below = [...path, (pair.before ?? pair.after)!.name];
          if (pair.before && pair.after) {
            todo.push({ before: pair.before.node, after: pair.after.node, path: below });
          } else if (pair.before) this.#removed.push(this.old.part(below, pair.before.node));
          else this.#added.push(this.now.part(below, pair.after!.node));
        }
      }
    }
  }

  result(): TreeDifference {
    const moved = this.#moves();
    for (const part of this.#added) add(this.#sums.added, part);
    for (const part of this.#removed) add(this.#sums.removed, part);
    for (const { after } of moved) {
      add(this.#sums.moved, after);
      for (const sum of [this.#sums.added, this.#sums.removed]) {
        sum.count -= after.count;
        sum.bytes -= after.bytes;
      }
    }
    const isMoved = new Set(moved.flatMap(({ before, after }) => [before, after]));
    const cut = <T>(list: readonly T[]) => list.slice(0, this.limit);
    const onlyAfter = [...this.now.files].filter(([key]) => !this.old.files.has(key)).map(([, node]) => node);
    const onlyBefore = [...this.old.files].filter(([key]) => !this.now.files.has(key)).map(([, node]) =>
      node
    );
    const total = (files: Iterable<FileNode>) => [...files].reduce((sum, { size }) => sum + size, 0);
    return {
      added: cut(this.#added.filter((part) => !isMoved.has(part)).sort(byPath)),
      removed: cut(this.#removed.filter((part) => !isMoved.has(part)).sort(byPath)),
      changed: cut(this.#changed.sort((a, b) => byPath(a.after, b.after))),
      moved: cut(moved),
      sums: this.#sums,
      bytes: {
        before: total(this.old.files.values()),
        after: total(this.now.files.values()),
        inSharedFiles: total(this.now.files.values()) - total(onlyAfter),
      },
      only: { before: onlyBefore, after: onlyAfter },
    };
  }

  /** What was removed in one place and added in another: whole folders, then files, also inside of folders. */
  #moves(): TreeMove[] {
    const moves: TreeMove[] = [];
    const taken = new Set<TreePart>();
    const match = (removed: Iterable<TreePart>, added: Iterable<TreePart>) => {
      const places = new Map<string, TreePart[]>();
      for (const part of removed) {
        const key = contentsKey(part);
        if (key !== undefined) places.set(key, [...places.get(key) ?? [], part]);
      }
      for (const after of added) {
        const key = contentsKey(after);
        const before = key === undefined ? undefined : places.get(key)?.shift();
        if (!before) continue;
        moves.push({ before, after });
        taken.add(before).add(after);
      }
    };
    const folders = (parts: readonly TreePart[]) => parts.filter(({ node }) => node.type === "directory");
    match(folders(this.#removed), folders(this.#added));
    const rest = (parts: readonly TreePart[]) => parts.filter((part) => !taken.has(part));
    match(this.#filesIn(rest(this.#removed), this.old), this.#filesIn(rest(this.#added), this.now));
    return moves.sort((a, b) => byPath(a.after, b.after));
  }

  /** Every file in these parts. */
  *#filesIn(parts: readonly TreePart[], tree: Tree): Generator<TreePart, void, void> {
    const todo = [...parts].reverse();
    for (let part = todo.pop(); part; part = todo.pop()) {
      this.#look();
      if (part.node.type === "file") yield part;
      if (part.node.type !== "directory") continue;
      for (const { name, node } of tree.items(part.node.digest)) {
        todo.push(tree.part([...part.path, name], node));
      }
    }
  }
}

/** Equal for equal contents; `undefined` where there are none to be told by. */
function contentsKey({ node, bytes }: TreePart): string | undefined {
  return node.type === "symlink" || bytes === 0 ? undefined : `${node.type} ${toHex(node.digest)}`;
}

/** How two nodes in one place differ; `undefined` for two folders that have to be looked into. */
function changeOf(before: Node, after: Node): TreeChange["change"] | "same" | undefined {
  if (before.type === "symlink" && after.type === "symlink") {
    return equals(before.target, after.target) ? "same" : "target";
  }
  if (before.type === "file" && after.type === "file") {
    if (!equals(before.digest, after.digest)) return "contents";
    return before.executable === after.executable ? "same" : "executable";
  }
  if (before.type === "directory" && after.type === "directory") {
    return equals(before.digest, after.digest) ? "same" : undefined;
  }
  return "type";
}

/** Both lists by name, those of one name together. */
function* merged(
  before: Generator<DirectoryItem, void, void>,
  after: Generator<DirectoryItem, void, void>,
): Generator<{ before?: DirectoryItem; after?: DirectoryItem }, void, void> {
  let [old, now] = [before.next(), after.next()];
  while (!old.done || !now.done) {
    const order = old.done ? 1 : now.done ? -1 : compare(old.value.name, now.value.name);
    yield { ...(order <= 0 && { before: old.value! }), ...(order >= 0 && { after: now.value! }) };
    if (order <= 0) old = before.next();
    if (order >= 0) now = after.next();
  }
}

function byPath(a: TreePart, b: TreePart): number {
  for (let i = 0; i < Math.min(a.path.length, b.path.length); i++) {
    const order = compare(a.path[i], b.path[i]);
    if (order !== 0) return order;
  }
  return a.path.length - b.path.length;
}

function add(sum: TreeSum, { count, bytes }: { count: number; bytes: number }): void {
  sum.count += count;
  sum.bytes += bytes;
}

/**
 * Bytes of the distinct chunks of some files that are chunks of others, too. `undefined` if the chunks of one are not known. Files that
 * are one chunk anywhere are not asked about.
 */
export async function sharedChunkBytes(
  files: readonly FileNode[],
  others: readonly FileNode[],
  chunksOf: (digest: Digest) => Promise<readonly ChunkMeta[] | undefined>,
): Promise<number | undefined> {
  const lists = async (nodes: readonly FileNode[]) => {
    const chunks = new Map<string, number>();
    for (const { digest, size } of nodes) {
      const list = size <= DEFAULT_CHUNK_SIZES.min ? [{ digest, size }] : await chunksOf(digest);
      if (!list) return undefined;
      for (const chunk of list) chunks.set(toHex(chunk.digest), chunk.size);
    }
    return chunks;
  };
  const known = await lists(others);
  const wanted = known && await lists(files);
  if (!wanted) return undefined;
  let shared = 0;
  for (const [key, size] of wanted) if (known.has(key)) shared += size;
  return shared;
}
