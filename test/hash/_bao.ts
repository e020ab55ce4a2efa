/** Blobs, and slices of them, for the tests of bao. */
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { collect } from "../../src/bytes/streams.ts";
import { createBao } from "../../src/hash/bao.ts";
import {
  encodeSlice,
  type SliceOptions,
  verifySlice,
  type VerifySliceOptions,
} from "../../src/hash/bao_slice.ts";
import type { Bao, BaoRange } from "../../src/hash/bao_tree.ts";

/** Bytes of the rule of the vectors of bao: 1, 2, 3, … as 32-bit integers, little endian. */
export function integerBytes(length: number): Bytes {
  const bytes = new Uint8Array(4 * Math.ceil(length / 4));
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < length; at += 4) view.setUint32(at, at / 4 + 1, true);
  return bytes.subarray(0, length);
}

/** A blob's bytes, and its tree. */
export interface Blob extends Bao {
  readonly bytes: Bytes;
  readonly groupLog: number;
}

export function blobOf(bytes: Bytes, groupLog: number): Blob {
  const hasher = createBao({ groupLog });
  hasher.update(bytes);
  return { bytes, size: bytes.length, digest: hasher.digest(), outboard: hasher.outboard(), groupLog };
}

/** The whole slice of a range. */
export function sliceOf(blob: Blob, range: BaoRange, options?: SliceOptions): Promise<Bytes> {
  return collect(encodeSlice(blob, range, ({ start, end }) => [blob.bytes.subarray(start, end)], options));
}

/** What verifying a slice came to: the bytes that were given out, then the end or the error. */
export interface Outcome {
  readonly bytes: Bytes;
  readonly size?: number;
  readonly error?: unknown;
}

/** Verifies the slice in pieces whose lengths `next` chooses, or at once. */
export async function outcomeOf(
  blob: Blob,
  range: BaoRange,
  encoded: Bytes,
  options: VerifySliceOptions = {},
  next = () => encoded.length,
): Promise<Outcome> {
  const parts: Bytes[] = [];
  try {
    const pieces = verifySlice(blob.digest, range, cut(encoded, next), {
      groupLog: blob.groupLog,
      ...options,
    });
    while (true) {
      const { done, value } = await pieces.next();
      if (done) return { bytes: concat(parts), size: value };
      parts.push(value.slice());
    }
  } catch (error) {
    return { bytes: concat(parts), error };
  }
}

/** Every piece in the same buffer: one is valid until the next is asked for, as with any source. */
export function* cut(bytes: Bytes, next: () => number): Generator<Bytes> {
  const buffer = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length;) {
    const piece = bytes.subarray(at, at + next());
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
    buffer.fill(255);
    at += piece.length;
  }
}
