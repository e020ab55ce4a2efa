/** Bytes through one of the platform's transforms, at the pace of the consumer. */
import type { Bytes } from "./bytes.ts";
import { iterate } from "./streams.ts";

/**
 * What the transform makes of the source's bytes, which are read before the next piece is asked for. Throws what the source
 * throws, or what the transform does. Leaving the loop early ends both.
 */
export async function* through(
  { readable, writable }: GenericTransformStream,
  source: Iterable<Bytes> | AsyncIterable<Bytes>,
): AsyncGenerator<Bytes, void, void> {
  const pieces = iterate(source);
  const writer = (writable as WritableStream<Bytes>).getWriter();
  let failure: { error: unknown } | undefined;
  const writing = (async () => {
    try {
      for await (const piece of pieces) {
        await writer.ready;
        await writer.write(piece.slice()); // which takes it as its own
      }
      await writer.close();
    } catch (error) {
      failure = { error };
      await writer.abort(error).catch(() => {});
    }
  })();
  try {
    yield* iterate(readable);
    await writing;
    if (failure) throw failure.error;
  } catch (error) {
    throw failure ? failure.error : error;
  } finally {
    await pieces.return();
  }
}
