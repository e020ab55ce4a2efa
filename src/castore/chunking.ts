/**
 * Cutting streams into chunks by their content: FastCDC v2020, normalisation level 1, 128/256/512 KiB, the parameters of
 * the other castore implementations, so that equal parts of different blobs become equal chunks here and there.
 */
import { type Bytes, EMPTY } from "../bytes/bytes.ts";
import { DEFAULT_CHUNK_SIZES } from "../hash/fastcdc.ts";

const MAX = DEFAULT_CHUNK_SIZES.max;

/** Most bytes gathered before they are moved up: several chunks, so that moving is rare. */
const GATHERED = 4 * MAX;

/** A chunk, and what else its cutter told of it. */
export type Cut<T> = T & { readonly chunk: Bytes };

/**
 * The chunks of a blob that comes in pieces. A cut depends on up to the longest chunk's length of bytes ahead, so that
 * much is gathered before each cut. A chunk is valid until the next one is asked for, and so may the pieces be.
 *
 * @param cut is given what is ahead, and tells the length of the next chunk; what it tells besides goes along with the chunk
 */
export async function* chunkStream<T extends { readonly length: number }>(
  source: AsyncIterable<Bytes>,
  cut: (ahead: Bytes) => T,
): AsyncGenerator<Cut<T>, void, void> {
  let buffer: Bytes = EMPTY;
  let start = 0;
  let end = 0;
  const next = (ahead: Bytes): Cut<T> => {
    const told = cut(ahead);
    start += told.length;
    return { ...told, chunk: ahead.subarray(0, told.length) };
  };
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      if (end === buffer.length) {
        const whole = buffer;
        // It grows with the blob: most blobs are small and many may come at once, and room that is not used has its price.
        if (whole.length < GATHERED) {
          const wanted = Math.max(2 * whole.length, piece.length - at);
          buffer = new Uint8Array(Math.min(wanted, GATHERED));
        }
        buffer.set(whole.subarray(start, end));
        end -= start;
        start = 0;
      }
      const taken = Math.min(piece.length - at, buffer.length - end);
      buffer.set(piece.subarray(at, at + taken), end);
      at += taken;
      end += taken;
      while (end - start >= MAX) yield next(buffer.subarray(start, start + MAX));
    }
  }
  while (start < end) yield next(buffer.subarray(start, Math.min(start + MAX, end)));
}
