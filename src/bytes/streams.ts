/**
 * Streams of bytes. Inside firn a stream is an `AsyncIterable<Bytes>`; `ReadableStream` is what platforms give and take.
 * `ReadableStream.from` and async iteration of streams are missing in some browsers, so both ways are spelled out.
 */
import { type Bytes, concat } from "./bytes.ts";

/** Any stream of bytes a caller may have. */
export type ByteSource = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Iterates over any source. Leaving the loop early cancels it. */
export async function* iterate(source: ByteSource): AsyncGenerator<Bytes, void, void> {
  if (!(source instanceof ReadableStream)) {
    yield* source as AsyncIterable<Bytes>;
    return;
  }
  const reader = source.getReader();
  let finished = false;
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) {
        finished = true;
        return;
      }
      if (value.length > 0) yield value as Bytes;
    }
  } catch (error) {
    finished = true;
    throw error;
  } finally {
    if (!finished) await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}

/** A `ReadableStream` that pulls from an iterable, piece by piece, and ends it when cancelled. */
export function toReadable(source: AsyncIterable<Bytes>): ReadableStream<Bytes> {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream<Bytes>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  }, { highWaterMark: 1 });
}

/** All bytes of a stream, in one array. */
export async function collect(source: AsyncIterable<Uint8Array>): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return parts.length === 1 ? parts[0] as Bytes : concat(parts);
}
