/** Verifies a range of a blob whose outboard (see `bao_tree.ts`) is at hand, not sent along as in a slice. */
import type { Bytes } from "../bytes/bytes.ts";
import { DamageError } from "../errors.ts";
import type { Bao, BaoRange, BaoShape } from "./bao_tree.ts";
import {
  blobName,
  firstRun,
  groupLength,
  nodesOf,
  outboardLength,
  PARENT_LENGTH,
  selectionOf,
} from "./bao_tree.ts";
import { BaoVerifier } from "./bao_verifier.ts";

/**
 * The bytes of a blob of this size that are needed to verify a range: all groups it touches. Throws `RangeError` for a
 * wrong range or shape.
 */
export function groupsOf(size: number, range: BaoRange, shape?: BaoShape): BaoRange {
  return firstRun(size, groupLength(shape), selectionOf(size, range, false));
}

/**
 * The bytes of a range, a view of `groups`: the bytes that {@link groupsOf} names. They and the outboard's parents above
 * them are verified against the digest; other parents are not looked at. The size is proven where the range reaches the
 * blob's end.
 *
 * Throws {@link DamageError} of the kind `outboard` or `blob` where one is not what the digest says or not as long as
 * the size says, and `RangeError` for a wrong range or shape.
 */
export function verifyRange(bao: Bao, range: BaoRange, groups: Bytes): Bytes {
  const { digest, size, outboard } = bao;
  const { start, end } = groupsOf(size, range, bao);
  if (outboard.length !== outboardLength(size, bao)) throw new DamageError("outboard", blobName(digest));
  if (groups.length !== end - start) throw new DamageError("blob", blobName(digest));
  const verifier = new BaoVerifier(digest);
  for (const node of nodesOf(size, groupLength(bao), selectionOf(size, range, false))) {
    if (node.kind === "parent") {
      const parent = outboard.slice(node.at, node.at + PARENT_LENGTH);
      if (!verifier.accepts(node, parent)) throw new DamageError("outboard", blobName(digest));
    } else if (!verifier.accepts(node, groups.subarray(node.start - start, node.end - start))) {
      throw new DamageError("blob", blobName(digest));
    }
  }
  return groups.subarray(Math.max(0, range.start - start), Math.max(0, range.end - start));
}
