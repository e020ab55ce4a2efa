/** Slices: a range of a blob sent with its proof, and verified where it is received (their format is in `bao_tree.ts`). */
import { type Bytes, concat } from "../bytes/bytes.ts";
import type { ByteSource } from "../bytes/streams.ts";
import { DamageError, FormatError } from "../errors.ts";
import { BaoInput } from "./bao_input.ts";
import type { Bao, BaoRange, BaoShape } from "./bao_tree.ts";
import {
  blobName,
  firstRun,
  groupCount,
  groupLength,
  leftGroups,
  nodesOf,
  outboardLength,
  PARENT_LENGTH,
  selectionOf,
} from "./bao_tree.ts";
import { BaoVerifier } from "./bao_verifier.ts";

const SIZE_LENGTH = 8;

/** What the two ends of a slice must agree about, besides its range. */
export interface SliceOptions {
  /**
   * Whether the last group is in every slice, so that the size it begins with is proven wherever the range lies; it is,
   * unless told. `false` gives the slices of the bao specification.
   */
  readonly proveSize?: boolean;
}

/** Bytes in the slice of a range of a blob of this size. Throws `RangeError` for a wrong range, size or shape. */
export function sliceLength(
  size: number,
  range: BaoRange,
  { proveSize = true, ...shape }: SliceOptions & BaoShape = {},
): number {
  const length = groupLength(shape);
  const { start, end, last } = selectionOf(size, range, proveSize);
  const all = groupCount(size, length);
  const below = (first: number, groups: number): number => {
    const from = first * length;
    const to = Math.min((first + groups) * length, size);
    const inside = from >= start - start % length && to <= end;
    if (inside || groups === 1) return to - from + PARENT_LENGTH * (groups - 1);
    const half = leftGroups(groups);
    const left = from < end && (first + half) * length > start ? below(first, half) : 0;
    const isLast = last && first + groups === all;
    const right = (first + half) * length < end && to > start || isLast
      ? below(first + half, groups - half)
      : 0;
    return PARENT_LENGTH + left + right;
  };
  return SIZE_LENGTH + below(0, all);
}

/** How a slice is verified. */
export interface VerifySliceOptions extends SliceOptions, BaoShape {
  /** Bytes in the blob, where they are known: a slice that says otherwise is refused. */
  readonly size?: number;
}

/**
 * Encodes the slice of a range. `read` opens the bytes of a range of the blob: once for all groups of the slice's range,
 * and once more for the last group where that lies apart. They are read as the slice is, and cancelled when it is left.
 *
 * The outboard and the bytes are not verified: the receiver does that. Throws {@link DamageError} if they are too short
 * or too long, `RangeError` for a wrong range or shape, and what `read` throws.
 */
export async function* encodeSlice(
  bao: Bao,
  range: BaoRange,
  read: (range: BaoRange) => ByteSource,
  { proveSize = true }: SliceOptions = {},
): AsyncGenerator<Bytes, void, void> {
  const { size, outboard } = bao;
  const length = groupLength(bao);
  const selection = selectionOf(size, range, proveSize);
  if (outboard.length !== outboardLength(size, bao)) throw new DamageError("outboard", blobName(bao.digest));
  let parts: Uint8Array[] = [encodeSize(size)];
  let run = firstRun(size, length, selection);
  let input: BaoInput | undefined;
  try {
    for (const node of nodesOf(size, length, selection)) {
      if (node.kind === "parent") {
        parts.push(outboard.subarray(node.at, node.at + PARENT_LENGTH));
        continue;
      }
      if (node.start >= run.end) run = { start: node.start, end: node.end };
      if (node.start === run.start) input = new BaoInput(read(run));
      const group = await input!.take(node.end - node.start);
      if (!group) throw misread(bao, run, "fewer");
      // Copied before the end is looked for: that may overwrite what was taken.
      const piece = concat([...parts, group]);
      if (node.end === run.end && !await input!.atEnd()) throw misread(bao, run, "more");
      yield piece;
      parts = [];
    }
  } finally {
    await input?.close();
  }
}

/**
 * The bytes of a range of the blob with this digest, from an encoded slice of that range. They come in pieces of a group
 * at most, none before it is verified; a piece is valid until the next one is asked for. The source is cancelled when
 * they are left.
 *
 * In the end returns the blob's size if it is proven (see {@link SliceOptions.proveSize}; it is, too, where the range
 * reaches the blob's end), else `undefined`. That the bytes end before the range does proves that the blob ends there.
 *
 * Throws {@link FormatError} at the first parent or group that is not of this blob, for a slice that is cut off or goes
 * on, and for a size that is not `size` or over 2^53; `RangeError` for a wrong range or shape; and what the source throws.
 */
export async function* verifySlice(
  digest: Uint8Array,
  range: BaoRange,
  encoded: ByteSource,
  options: VerifySliceOptions = {},
): AsyncGenerator<Bytes, number | undefined, void> {
  const length = groupLength(options);
  const input = new BaoInput(encoded);
  try {
    const size = decodeSize(await take(input, SIZE_LENGTH));
    if (options.size !== undefined && size !== options.size) {
      throw refused(`it is of a blob of ${size} bytes, not of ${options.size}`);
    }
    const selection = selectionOf(size, range, options.proveSize ?? true);
    const verifier = new BaoVerifier(digest);
    for (const node of nodesOf(size, length, selection)) {
      const bytes = await take(input, node.kind === "group" ? node.end - node.start : PARENT_LENGTH);
      if (!verifier.accepts(node, bytes)) {
        throw refused(`its next ${node.kind} is not of blob ${blobName(digest)}`);
      }
      if (node.kind === "parent") continue;
      const part = bytes.subarray(
        Math.max(0, range.start - node.start),
        Math.max(0, range.end - node.start),
      );
      if (part.length > 0) yield part;
    }
    if (!await input.atEnd()) throw refused("it goes on after its last node");
    return selection.last || selection.end >= size ? size : undefined;
  } finally {
    await input.close();
  }
}

async function take(input: BaoInput, length: number): Promise<Bytes> {
  const bytes = await input.take(length);
  if (!bytes) throw refused("it is cut off");
  return bytes;
}

function misread({ digest }: Bao, { start, end }: BaoRange, found: string): DamageError {
  const name = blobName(digest);
  return new DamageError(
    "blob",
    name,
    `Cannot read bytes ${start} to ${end} of blob ${name}: there are ${found}`,
  );
}

function refused(reason: string): FormatError {
  return new FormatError("bao", `Cannot accept bao slice: ${reason}`);
}

function encodeSize(size: number): Bytes {
  const bytes = new Uint8Array(SIZE_LENGTH);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true);
  return bytes;
}

function decodeSize(bytes: Bytes): number {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw refused(`a blob of ${size} bytes is too large`);
  return Number(size);
}
