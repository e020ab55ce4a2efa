/**
 * BLAKE3's tree by its parts, for hashing in parallel and for proving ranges. Input is cut into chunks of 1024 bytes,
 * the leaves. Of more than one chunk, the left child of a node holds the largest power of two of chunks that leaves
 * something for the right one.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { blake3Over } from "./blake3_kernel.ts";
import { plainParent, plainSubtree } from "./blake3_plain.ts";
import { kernel } from "./wasm/kernel.ts";

/** Bytes in a chunk; the input's last one may have fewer. */
export const CHUNK_LENGTH = 1024;

const { subtree, parent } = kernel ? blake3Over(kernel) : { subtree: plainSubtree, parent: plainParent };

/**
 * The chaining value (32 bytes) of the node over these bytes, which begin at chunk `firstChunk` of the input and are
 * not all of it. They must be a node: a power of two of whole chunks beginning at a multiple of their number, or the
 * input's end beginning at a multiple of the next such power. Throws `RangeError` for no bytes or another place.
 */
export function subtreeValue(bytes: Bytes, firstChunk: number): Bytes {
  let chunks = 1;
  while (chunks * CHUNK_LENGTH < bytes.length) chunks *= 2;
  if (
    bytes.length === 0 || !Number.isSafeInteger(firstChunk) || firstChunk < 0 || firstChunk % chunks !== 0
  ) {
    throw new RangeError(`Cannot hash ${bytes.length} bytes at chunk ${firstChunk}: they are not a node`);
  }
  return subtree(bytes, firstChunk);
}

/** The chaining value of the parent of two nodes, given theirs (32 bytes each). */
export function parentValue(left: Bytes, right: Bytes): Bytes {
  return parent(left, right, false);
}

/** The digest of an input of more than one chunk, given the chaining values of the root's two children. */
export function rootDigest(left: Bytes, right: Bytes): Bytes {
  return parent(left, right, true);
}
