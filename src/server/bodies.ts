/**
 * Bodies of requests, with a bound on their length and on how long a client may stall.
 */
import { type Bytes, concat } from "../bytes/bytes.ts";
import { iterate } from "../bytes/streams.ts";
import { LimitError } from "../errors.ts";
import { HttpError } from "./http_error.ts";
import { received } from "./visitors.ts";

/** Bytes asked for at once: what the system has ready comes in one piece. */
const READ = 256 * 1024;

/**
 * The body of a request as a stream, whose pieces are valid until the next is asked for: all are read into one buffer, for
 * an upload of gigabytes in fresh pieces would leave as many for the garbage collector. Fails with status 408 when no byte came for `stallMs`, and with 400 when the client goes
 * away or sends less than it said.
 */
export async function* bodyStream(request: Request, stallMs: number): AsyncGenerator<Bytes, void, void> {
  if (!request.body) return;
  const pieces = readInto(request.body, READ);
  const stall = new Stall(stallMs);
  const promised = request.headers.get("content-length");
  let length = 0;
  try {
    while (true) {
      const next = await Promise.race([pieces.next().catch(broken), stall.wait()]);
      if (next.done) break;
      length += next.value.length;
      received(request, next.value.length);
      yield next.value;
    }
    if (promised !== null && Number(promised) !== length) broken(undefined);
  } finally {
    stall.end();
    // A stalled stream does not answer a cancel either, so nobody waits for it.
    pieces.return().catch(() => {});
  }
}

/** The whole body. Throws {@link LimitError} for more than `limit` bytes, of which `what` is for the message. */
export async function readBody(
  request: Request,
  limit: number,
  what: string,
  stallMs: number,
): Promise<Bytes> {
  return await readAtMost(bodyStream(request, stallMs), limit, what);
}

/** All bytes of a stream, of which there may be `limit`. */
export async function readAtMost(source: AsyncIterable<Bytes>, limit: number, what: string): Promise<Bytes> {
  const parts: Bytes[] = [];
  let length = 0;
  for await (const part of source) {
    length += part.length;
    if (length > limit) throw new LimitError(limit, `Cannot take the ${what}: it has over ${limit} bytes`);
    parts.push(part.slice());
  }
  return concat(parts);
}

/** Reads a byte stream into one buffer, again and again. Other streams, which some platforms give, as they come. */
async function* readInto(
  stream: ReadableStream<Uint8Array>,
  length: number,
): AsyncGenerator<Bytes, void, void> {
  const reader = byobReader(stream);
  if (!reader) return yield* iterate(stream);
  let buffer = new ArrayBuffer(length);
  let finished = false;
  try {
    while (true) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) {
        finished = true;
        return;
      }
      yield value as Bytes;
      buffer = value.buffer as ArrayBuffer;
    }
  } finally {
    if (!finished) await reader.cancel().catch(() => {});
  }
}

function byobReader(stream: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return stream.getReader({ mode: "byob" });
  } catch {
    return undefined; // not a byte stream
  }
}

function broken(_cause: unknown): never {
  throw new HttpError(400, "Cannot take the upload: the connection ended before all of it came");
}

/** One timer for a whole stream: setting one for each piece would cost more than the piece. */
class Stall {
  #waits = 0;
  #timer: ReturnType<typeof setInterval>;
  #reject: ((error: unknown) => void) | undefined;

  constructor(stallMs: number) {
    let seen = -1;
    this.#timer = setInterval(() => {
      if (seen === this.#waits) {
        this.#reject?.(
          new HttpError(
            408,
            `Cannot take the upload: nothing came for ${Math.round(stallMs / 1000)} seconds`,
          ),
        );
      }
      seen = this.#waits;
    }, stallMs);
  }

  /** Rejects if the next call, or the end, is not within the time (up to twice of it). */
  wait(): Promise<never> {
    this.#waits++;
    return new Promise((_, reject) => this.#reject = reject);
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
