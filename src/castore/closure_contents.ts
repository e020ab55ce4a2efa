/** What is below a root: its files, and its Directories in the order in which they are stored. */
import type { Bytes } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { MissingError } from "../errors.ts";
import { DigestTable } from "./digest_table.ts";
import { formatDigest } from "./digest.ts";
import type { DirectoryService } from "./directory_service.ts";
import type { DirectoryNode, FileNode, Node } from "./node.ts";
import { directoryItems } from "./read_directory.ts";

type Directories = Pick<DirectoryService, "getClosure">;

/** The distinct files below a node, itself if it is one. */
export async function* filesBelow(
  root: Node,
  directories: Directories,
): AsyncGenerator<FileNode, void, void> {
  if (root.type === "file") yield root;
  if (root.type !== "directory") return;
  const seen = new DigestTable();
  for await (const { encoded } of directories.getClosure(root.digest)) {
    for (const { node } of directoryItems(encoded)) {
      if (node.type === "file" && seen.add(node.digest)) yield node;
    }
  }
}

/**
 * The encodings of all Directories below a root, and its own, each after all it refers to. Throws {@link MissingError} if one is not
 * there.
 */
export async function leavesFirst(root: DirectoryNode, directories: Directories): Promise<Bytes[]> {
  const encodings = new Map<string, Bytes>();
  for await (const { digest, encoded } of directories.getClosure(root.digest)) {
    encodings.set(toHex(digest), encoded);
  }
  if (encodings.size === 0) throw new MissingError("directory", formatDigest(root.digest));
  // Root first, each after one that refers to it: turned around that is not always leaves first.
  const done = new Set<string>();
  const sorted: Bytes[] = [];
  const stack = [toHex(root.digest)];
  while (stack.length > 0) {
    const key = stack[stack.length - 1];
    if (done.has(key)) {
      stack.pop();
      continue;
    }
    const encoded = encodings.get(key)!;
    const before = stack.length;
    for (const { node } of directoryItems(encoded)) {
      if (node.type !== "directory") continue;
      const below = toHex(node.digest);
      if (!done.has(below)) stack.push(below);
    }
    if (stack.length > before) continue;
    stack.pop();
    done.add(key);
    sorted.push(encoded);
  }
  return sorted;
}
