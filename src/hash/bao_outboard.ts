/** Verifies a whole outboard (see `bao_tree.ts`) without its blob. */
import { DamageError } from "../errors.ts";
import { type Bytes, equals } from "../bytes/bytes.ts";
import type { Bao } from "./bao_tree.ts";
import { blobName, groupCount, groupLength, leftGroups, outboardLength, PARENT_LENGTH } from "./bao_tree.ts";
import { parentValue, rootDigest } from "./blake3_tree.ts";

const VALUE_LENGTH = PARENT_LENGTH / 2;

/**
 * Verifies every parent against the digest. That the blob is as long as `size` says is not proven: the bytes of its last
 * group would do that, see `verifyRange`.
 *
 * Throws {@link DamageError} of the kind `outboard` where the outboard is not what the digest says or not as long as the
 * size says, and `RangeError` for a wrong size or shape.
 */
export function verifyOutboard(bao: Bao): void {
  const { digest, size, outboard } = bao;
  const sound = (
    groups: number,
    parent: number,
    expected: Uint8Array,
    valueOf: typeof parentValue,
  ): boolean => {
    if (groups === 1) return true;
    const at = PARENT_LENGTH * parent;
    const values: Bytes = outboard.slice(at, at + PARENT_LENGTH);
    const [left, right] = [values.subarray(0, VALUE_LENGTH), values.subarray(VALUE_LENGTH)];
    if (!equals(valueOf(left, right), expected)) return false;
    const half = leftGroups(groups);
    return sound(half, parent + 1, left, parentValue) &&
      sound(groups - half, parent + half, right, parentValue);
  };
  const groups = groupCount(size, groupLength(bao));
  if (outboard.length !== outboardLength(size, bao) || !sound(groups, 0, digest, rootDigest)) {
    throw new DamageError("outboard", blobName(digest));
  }
}
