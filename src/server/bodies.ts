/**
 * Bodies of requests, with a bound on their length and on how long a client may stall.
 */
import { type Bytes, concat } from "../bytes/bytes.ts";
import { iterate } from "../bytes/streams.ts";
import { LimitError } from "../errors.ts";
import { HttpError } from "./http_error.ts";

/**
 * The body of a request as a stream. Fails with status 408 when no byte came for `stallMs`, and with 400 when the client goes
 * away or sends less than it said.
 */
export async function* bodyStream(request: Request, stallMs: number): AsyncGenerator<Bytes, void, void> {
  if (!request.body) return;
  const pieces = iterate(request.body);
  const stall = new Stall(stallMs);
  const promised = request.headers.get("content-length");
  let length = 0;
  try {
    while (true) {
      const next = await Promise.race([pieces.next().catch(broken), stall.wait()]);
      if (next.done) break;
      length += next.value.length;
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
    parts.push(part);
  }
  return concat(parts);
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
