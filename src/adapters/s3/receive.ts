/**
 * Receiving an answer whole: as long as it says it is, no longer than it may be, and without a standstill.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { concat } from "../../bytes/bytes.ts";
import { iterate } from "../../bytes/streams.ts";
import { LimitError } from "../../errors.ts";

/** A body that is not what its answer said. */
export class CutError extends Error {
  override readonly name = "CutError";
}

/** Aborts a request of which nothing was heard for a while. */
export class Watchdog {
  #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param patience milliseconds it waits for each sign of life; it waits for the first from now on */
  constructor(public patience: number) {
    this.alive();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** There was a sign of life. */
  alive(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(), this.patience);
  }

  /** Stops watching. */
  end(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * The whole body of an answer. Throws {@link CutError} for one that is not as long as the answer says, and `LimitError` for one
 * over `longest`; what is left of it is cancelled.
 */
export async function receive(
  answer: Response,
  isHead: boolean,
  longest: number,
  watchdog: Watchdog,
): Promise<Bytes> {
  watchdog.alive();
  if (isHead || !answer.body) {
    await answer.body?.cancel();
    return new Uint8Array(0);
  }
  const said = answer.headers.get("content-length");
  const length = said === null || !/^\d{1,15}$/.test(said) ? undefined : Number(said);
  if (length !== undefined && length > longest) {
    await answer.body.cancel();
    throw tooLong(longest);
  }
  return length === undefined
    ? await receiveUnknown(answer.body, longest, watchdog)
    : await receiveKnown(answer.body, length, watchdog);
}

async function receiveKnown(body: ReadableStream<Bytes>, length: number, watchdog: Watchdog): Promise<Bytes> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for await (const piece of iterate(body)) {
    watchdog.alive();
    if (at + piece.length > length) {
      throw new CutError(`the answer has more than the ${length} bytes it says`);
    }
    bytes.set(piece, at);
    at += piece.length;
  }
  if (at < length) throw new CutError(`the answer was cut after ${at} of ${length} bytes`);
  return bytes;
}

async function receiveUnknown(
  body: ReadableStream<Bytes>,
  longest: number,
  watchdog: Watchdog,
): Promise<Bytes> {
  const pieces: Bytes[] = [];
  let length = 0;
  for await (const piece of iterate(body)) {
    watchdog.alive();
    length += piece.length;
    if (length > longest) throw tooLong(longest);
    pieces.push(piece);
  }
  return concat(pieces);
}

function tooLong(longest: number): LimitError {
  return new LimitError(
    longest,
    `Cannot read an answer of S3: it has over ${longest} bytes, and nothing firn stores has`,
  );
}
