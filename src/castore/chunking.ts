/**
 * Cutting blobs into chunks by their content: FastCDC v2020, normalisation level 1, 128/256/512 KiB, the parameters of
 * the other castore implementations, so that equal parts of different blobs become equal chunks here and there.
 */
import type { Bytes } from "../bytes/bytes.ts";
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

/**
 * The chunks of a blob that comes in pieces. A cut depends on up to the longest chunk's length of bytes ahead, so that
 * much is gathered before each cut. Each chunk is valid for good: it is a view of a buffer that is not used again.
 */
export async function* chunkStream(source: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, void> {
  let buffer = new Uint8Array(4 * MAX);
  let start = 0;
  let end = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      if (end === buffer.length) {
        // The chunks already yielded are views of this buffer, so what is left moves to a new one.
        const rest = buffer.subarray(start, end);
        buffer = new Uint8Array(4 * MAX);
        buffer.set(rest);
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
  for (const chunk of chunksOf(buffer.subarray(start, end))) yield chunk;
}
