/**
 * Cutting blobs into chunks by their content: FastCDC v2020, normalisation level 1, 128/256/512 KiB, the parameters of
 * the other castore implementations, so that equal parts of different blobs become equal chunks here and there.
 */
import { type Bytes, EMPTY } from "../bytes/bytes.ts";
import { cutPoint, DEFAULT_CHUNK_SIZES } from "../hash/fastcdc.ts";

const MAX = DEFAULT_CHUNK_SIZES.max;

/** The chunks of a blob in memory, as views of it. */
export function* chunksOf(bytes: Bytes): Generator<Bytes, void, void> {
  for (let at = 0; at < bytes.length;) {
    const length = cutPoint(bytes.subarray(at, at + MAX));
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

/** Most bytes gathered before they are moved up: several chunks, so that moving is rare. */
const GATHERED = 4 * MAX;

/**
 * The chunks of a blob that comes in pieces. A cut depends on up to the longest chunk's length of bytes ahead, so that
 * much is gathered before each cut. A chunk is valid until the next one is asked for, and so may the pieces be.
 */
export async function* chunkStream(source: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, void> {
  let buffer: Bytes = EMPTY;
  let start = 0;
  let end = 0;
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
      while (end - start >= MAX) {
        const length = cutPoint(buffer.subarray(start, start + MAX));
        yield buffer.subarray(start, start + length);
        start += length;
      }
    }
  }
  yield* chunksOf(buffer.subarray(start, end));
}
