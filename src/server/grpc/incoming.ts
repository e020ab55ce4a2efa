/** Messages of a stream that a client sends, with a bound on how long it may stall. */
import { Code, ConnectError } from "@connectrpc/connect";

/**
 * The messages. Fails when the call is cancelled or past its deadline, also while it waits, and with DEADLINE_EXCEEDED when
 * nothing came for `stallMs` (up to twice that).
 */
export async function* incoming<T>(
  messages: AsyncIterable<T>,
  signal: AbortSignal,
  stallMs: number,
): AsyncGenerator<T, void, void> {
  const iterator = messages[Symbol.asyncIterator]();
  let fail: (error: unknown) => void = () => {};
  const abort = () => fail(signal.reason);
  let waits = 0;
  let seen = 0;
  // One timer for a whole stream: setting one for each message would cost more than the message.
  const timer = setInterval(() => {
    if (seen === waits) fail(stalled(stallMs)); // does nothing while the store is what is being waited for
    seen = waits;
  }, stallMs);
  signal.addEventListener("abort", abort);
  try {
    while (true) {
      signal.throwIfAborted();
      waits++;
      // Not a race: each would leave a reaction on a promise that lives as long as the call.
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        fail = reject;
        iterator.next().then(resolve, reject);
      });
      if (next.done) break;
      yield next.value;
    }
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", abort);
    clearInterval(timer);
    // A stalled stream does not answer this either, so nobody waits for it.
    iterator.return?.().catch(() => {});
  }
}

function stalled(stallMs: number): ConnectError {
  const seconds = Math.round(stallMs / 1000);
  return new ConnectError(
    `Cannot take the stream: nothing came for ${seconds} seconds`,
    Code.DeadlineExceeded,
  );
}
