/** Walking a path down from a node. Symlinks are not followed. */
import type { Bytes } from "../bytes/bytes.ts";
import { compare } from "../bytes/bytes.ts";
import { MissingError } from "../errors.ts";
import { formatDigest } from "./digest.ts";
import type { Directory } from "./directory.ts";
import type { DirectoryService } from "./directory_service.ts";
import type { Node } from "./node.ts";

/**
 * The node at a path of names below `root` (the root itself for none); `undefined` where a name does not exist or
 * the path goes through something that is no folder. Throws {@link MissingError} where a Directory is not stored.
 */
export async function descend(
  directories: DirectoryService,
  root: Node,
  path: readonly Bytes[],
): Promise<Node | undefined> {
  let node: Node | undefined = root;
  for (const name of path) {
    if (node?.type !== "directory") return undefined;
    const directory: Directory | undefined = await directories.get(node.digest);
    if (!directory) throw new MissingError("directory", formatDigest(node.digest));
    node = find(directory, name);
  }
  return node;
}

/** The node under a name, by binary search. */
export function find(directory: Directory, name: Uint8Array): Node | undefined {
  const { items } = directory;
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compare(items[middle].name, name);
    if (order === 0) return items[middle].node;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}
