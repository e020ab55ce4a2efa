/**
 * Reads a Nix archive from a stream. The rules, tokens and limits are those of `parser.ts`.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { type NarLimits, NarParser, type NarToken } from "./parser.ts";

export { type NarLimits, NarParser, type NarToken };

/**
 * The tokens of an archive in a stream, read at the pace they are asked for. A `data` token is valid until the next
 * one is asked for. Throws what {@link NarParser} throws, and what the source throws.
 *
 * The source belongs to the tokens from this call on: it is cancelled as soon as they are left (`break`, `return`),
 * even while a read is under way, and when the archive is wrong.
 */
export function readNar(
  source: ReadableStream<Bytes> | AsyncIterable<Bytes>,
  limits?: NarLimits,
): AsyncGenerator<NarToken, void, void> {
  const parser = new NarParser(limits);
  const pieces = openPieces(source);
  let open = true;

  async function next(): Promise<IteratorResult<NarToken, void>> {
    try {
      while (open) {
        const token = parser.next();
        if (token) return { done: false, value: token };
        const piece = await pieces.next();
        if (!open) break;
        if (piece.done) {
          open = false;
          parser.finish();
        } else parser.feed(piece.value);
      }
      return { done: true, value: undefined };
    } catch (error) {
      // The first error is the one to tell; a source that fails to close after it adds nothing.
      await close(error).catch(() => {});
      throw error;
    }
  }

  async function close(reason?: unknown): Promise<void> {
    if (!open) return;
    open = false;
    await pieces.close(reason);
  }

  return {
    next,
    async return() {
      await close();
      return { done: true, value: undefined };
    },
    async throw(error) {
      await close(error);
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await close();
    },
  };
}

/** One way to read and to leave both kinds of source. */
interface Pieces {
  next(): Promise<{ done?: false; value: Bytes } | { done: true; value?: unknown }>;
  close(reason: unknown): Promise<unknown>;
}

function openPieces(source: ReadableStream<Bytes> | AsyncIterable<Bytes>): Pieces {
  // Not every browser can iterate a ReadableStream, and an iterator cannot cancel a read that is under way.
  if ("getReader" in source) {
    const reader = source.getReader();
    return { next: () => reader.read(), close: (reason) => reader.cancel(reason) };
  }
  const iterator = source[Symbol.asyncIterator]();
  return { next: () => iterator.next(), close: async () => await iterator.return?.() };
}
