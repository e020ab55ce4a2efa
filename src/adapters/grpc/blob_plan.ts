/**
 * Where the bytes of a long blob are to be had: its pieces in order, each with a digest it is verified against.
 *
 * A server that splits blobs names the pieces, and each can be asked for by itself. Of one that does not, the blob is
 * read once to be measured and verified; the pieces are then ours, and are found by reading the blob again.
 */
import { type Bytes, concat, equals } from "../../bytes/bytes.ts";
import type { ChunkMeta } from "../../castore/blob_service.ts";
import { type Digest, DIGEST_LENGTH, formatDigest } from "../../castore/digest.ts";
import { DamageError } from "../../errors.ts";
import { outboardLength } from "../../hash/bao_tree.ts";
import { blake3, createBlake3 } from "../../hash/blake3.ts";
import { DEFAULT_CHUNK_SIZES } from "../../hash/fastcdc.ts";

/** The longest piece that is delivered, and the longest blob that is read in one go. */
export const PIECE: number = DEFAULT_CHUNK_SIZES.max;
/** The longest chunk that is held in memory; a server with longer ones is treated as one that does not split. */
const MAX_CHUNK = 16 * 1024 * 1024;

export interface BlobPlan {
  readonly size: number;
  readonly pieces: readonly ChunkMeta[];
  /** Whether the pieces are the server's chunks. */
  readonly split: boolean;
  /** What ranges are verified with; not verified itself. No bytes: the server has none. Absent: it was not asked for. */
  readonly outboard?: Bytes;
}

/**
 * A plan of the chunks a server names; `undefined` if it names none that can be used. Throws {@link DamageError} for
 * a list that cannot be one, and for an outboard of another length than their sum's.
 */
export function planOf(
  digest: Digest,
  chunks: readonly { digest: Uint8Array; size: bigint }[],
  outboard?: Bytes,
): BlobPlan | undefined {
  let size = 0;
  const pieces = chunks.map((chunk) => {
    size += Number(chunk.size);
    if (chunk.digest.length !== DIGEST_LENGTH || chunk.size === 0n || !Number.isSafeInteger(size)) {
      throw damaged(digest, "its list of chunks cannot be right");
    }
    return { digest: chunk.digest.slice(), size: Number(chunk.size) };
  });
  if (pieces.length === 0 || pieces.some((piece) => piece.size > MAX_CHUNK)) return undefined;
  if (outboard && outboard.length > 0 && outboard.length !== outboardLength(size)) {
    throw new DamageError("outboard", formatDigest(digest));
  }
  return { size, pieces, split: true, outboard };
}

/** Measures a blob that is given whole. Throws {@link DamageError} if the bytes are not its. */
export async function measure(digest: Digest, messages: AsyncIterable<Bytes>): Promise<BlobPlan> {
  const whole = createBlake3();
  const pieces: ChunkMeta[] = [];
  let size = 0;
  for await (const piece of cut(messages, () => PIECE)) {
    whole.update(piece);
    pieces.push({ digest: blake3(piece), size: piece.length });
    size += piece.length;
  }
  if (!equals(whole.digest(), digest)) throw damaged(digest, "the remote gave other bytes");
  return { size, pieces, split: false };
}

/**
 * The bytes of some messages, in arrays of their own of these lengths (asked for by number) and a shorter one at the end.
 * A message needs to be valid only until the next is asked for.
 */
export async function* cut(
  messages: AsyncIterable<Bytes>,
  lengthOf: (i: number) => number,
): AsyncGenerator<Bytes, void, void> {
  const parts: Bytes[] = [];
  let gathered = 0;
  let i = 0;
  for await (let rest of messages) {
    for (let missing = lengthOf(i) - gathered; rest.length >= missing; missing = lengthOf(i)) {
      parts.push(rest.subarray(0, missing));
      rest = rest.subarray(missing);
      yield concat(parts.splice(0));
      gathered = 0;
      i++;
    }
    if (rest.length > 0) parts.push(rest.slice());
    gathered += rest.length;
  }
  if (gathered > 0) yield concat(parts);
}

/** The error for a blob of which the remote told something untrue. */
export function damaged(digest: Digest, why: string): DamageError {
  const name = formatDigest(digest);
  return new DamageError("blob", name, `Cannot read blob ${name}: ${why}`);
}
