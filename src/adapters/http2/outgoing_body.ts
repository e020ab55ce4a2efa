/** Sends what an iterable gives, at the pace of the peer. */
import type { Stream } from "./stream.ts";

/**
 * Asks for a piece when the one before it is on its way. When the stream fails the iterable is left at once, even if a
 * piece was asked for, and the failure is thrown. Throws what the iterable throws.
 */
export async function sendBody(stream: Stream, body: AsyncIterable<Uint8Array>): Promise<void> {
  const iterator = body[Symbol.asyncIterator]();
  let leaving: Promise<unknown> | undefined;
  const leave = () => leaving ??= leaveQuietly(iterator);
  stream.onFailure(leave);
  try {
    while (true) {
      const { done, value } = await iterator.next();
      if (stream.failure) throw stream.failure;
      if (done) return;
      if (value.length === 0) continue;
      const taken = stream.sendData(value);
      if (taken) await taken;
    }
  } catch (error) {
    if (stream.failure) await leave();
    throw error;
  }
}

async function leaveQuietly(iterator: AsyncIterator<Uint8Array>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The stream has failed already: why its source could not be left as well is nobody's business.
  }
}
