/**
 * Bao: the parents of BLAKE3's tree, kept beside a blob or sent with a part of it, so that any range of any blob can be
 * verified against its digest alone.
 *
 *   outboard = parent*                     every parent above the groups, in pre-order
 *   slice    = size (parent | group)*      the nodes that are above or in the range, in pre-order
 *   size     = u64, little endian          bytes in the blob
 *   parent   = value value                 the chaining values (32 bytes each) of its left and its right child
 *   group    = byte*                       2^groupLog chunks of 1024 bytes; the blob's last group may have less
 *
 * Pre-order is a parent, then all below its left child, then all below its right child. Of several groups the left child
 * holds the largest power of two that leaves something for the right one. A blob of one group, or of no bytes, is a
 * group without a parent: its outboard is empty.
 *
 * An outboard is in pre-order, not in post-order, because that is the order in which slices are made and verified: what
 * a slice takes from it lies in few runs. No size stands before it: whoever holds an outboard holds the blob's size too.
 * So it is what `PreOrderMemOutboard` of the crate bao-tree holds, and, after the size, an outboard of the bao
 * specification (https://github.com/oconnor663/bao/blob/master/docs/spec.md), whose groups are single chunks.
 *
 * A slice of an empty range is that of its first byte, and one that begins behind the blob's end has the last group, as
 * the specification says. A slice of the specification that does not reach the end proves nothing about `size`; with
 * `proveSize` the last group is in every slice. After the size a slice is what bao-tree encodes for the range (and the
 * last byte) rounded to groups; without rounding, bao-tree goes on to the chunks of a group that is needed in part.
 *
 * Limits: sizes are safe integers, below 2^53; groups are of at most 1 MiB.
 */
import { toBase64 } from "../bytes/base64.ts";
import { CHUNK_LENGTH } from "./blake3_tree.ts";

/** Bytes in a parent. */
export const PARENT_LENGTH = 64;

const DEFAULT_GROUP_LOG = 4;
const MAX_GROUP_LOG = 10;

/** Bytes from `start` to before `end`. What lies behind the blob's end is left out. */
export interface BaoRange {
  readonly start: number;
  readonly end: number;
}

/** The shape of a tree. */
export interface BaoShape {
  /** A group is of 2^groupLog chunks. 4, groups of 16 KiB, unless told. */
  readonly groupLog?: number;
}

/** A blob's outboard, and what it is the outboard of. */
export interface Bao extends BaoShape {
  readonly digest: Uint8Array;
  /** Bytes in the blob. */
  readonly size: number;
  readonly outboard: Uint8Array;
}

/** A parent: it lies at this byte of the outboard, and these children of it are wanted, too. */
export interface BaoParent {
  readonly kind: "parent";
  readonly at: number;
  readonly isRoot: boolean;
  readonly left: boolean;
  readonly right: boolean;
}

/** A group: these bytes of the blob. */
export interface BaoGroup {
  readonly kind: "group";
  readonly start: number;
  readonly end: number;
  readonly isRoot: boolean;
}

/** The groups that a slice has: those that touch `start` to `end` (never nothing), and the last one if told. */
export interface BaoSelection {
  readonly start: number;
  readonly end: number;
  readonly last: boolean;
}

/** A blob's digest as messages show it. */
export function blobName(digest: Uint8Array): string {
  return "blake3-" + toBase64(digest);
}

/** Bytes in each group but the last. Throws `RangeError` for a log that is not one of 0 to 10. */
export function groupLength({ groupLog = DEFAULT_GROUP_LOG }: BaoShape = {}): number {
  if (!Number.isInteger(groupLog) || groupLog < 0 || groupLog > MAX_GROUP_LOG) {
    throw new RangeError(`Cannot group chunks by 2^${groupLog}: want 0 to ${MAX_GROUP_LOG}`);
  }
  return CHUNK_LENGTH * 2 ** groupLog;
}

/** Groups in a blob of this size. */
export function groupCount(size: number, length: number): number {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`Cannot have a blob of ${size} bytes`);
  return Math.max(1, Math.ceil(size / length));
}

/** Of this many groups, two or more, those below the left child. */
export function leftGroups(groups: number): number {
  let left = 1;
  while (2 * left < groups) left *= 2;
  return left;
}

/** Bytes in the outboard of a blob of this size. */
export function outboardLength(size: number, shape?: BaoShape): number {
  return PARENT_LENGTH * (groupCount(size, groupLength(shape)) - 1);
}

/**
 * What a slice of this range has of a blob of this size. Throws `RangeError` for a range that is none: its ends must be
 * safe integers, and `end` not before `start`.
 */
export function selectionOf(size: number, range: BaoRange, last: boolean): BaoSelection {
  const { start, end } = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new RangeError(`Cannot take bytes ${start} to ${end}: that is not a range`);
  }
  return { start: Math.min(start, Math.max(size - 1, 0)), end: Math.max(end, start + 1), last };
}

/** The bytes of the blob that the selection's first run of groups holds; the last group may follow apart. */
export function firstRun(size: number, length: number, { start, end }: BaoSelection): BaoRange {
  return { start: start - start % length, end: Math.min(Math.ceil(end / length) * length, size) };
}

/** The parents and groups that are selected of a blob of this size, in pre-order. */
export function* nodesOf(
  size: number,
  length: number,
  selection: BaoSelection,
): Generator<BaoParent | BaoGroup, void, void> {
  const all = groupCount(size, length);
  const selected = (first: number, groups: number) =>
    first * length < selection.end && (first + groups) * length > selection.start ||
    selection.last && first + groups === all;
  // What is to be visited, the next one last. `parent` is the number of the subtree's first parent in the outboard.
  const stack = [{ first: 0, groups: all, parent: 0 }];
  for (let node = stack.pop(); node; node = stack.pop()) {
    const { first, groups, parent } = node;
    const isRoot = groups === all;
    if (groups === 1) {
      yield { kind: "group", start: first * length, end: Math.min((first + 1) * length, size), isRoot };
      continue;
    }
    const half = leftGroups(groups);
    const left = selected(first, half);
    const right = selected(first + half, groups - half);
    if (right) stack.push({ first: first + half, groups: groups - half, parent: parent + half });
    if (left) stack.push({ first, groups: half, parent: parent + 1 });
    yield { kind: "parent", at: PARENT_LENGTH * parent, isRoot, left, right };
  }
}
