/**
 * The body a peer is sending: what has arrived and was not yet asked for. Frames are many and small, and lie in a buffer
 * that is used again: what one read brought is copied here once, into pieces that are as large as they can be.
 */
import { type Bytes, concat } from "../../bytes/bytes.ts";

type Result = IteratorResult<Bytes, undefined>;

/** The largest piece that is begun for bytes that come little by little. */
const LARGEST = 64 * 1024;

/**
 * An iterable of one iteration. Pieces belong to who iterates. Throws what the body was failed with, bytes that have
 * arrived by then are lost. Leaving the iteration early drops the rest.
 */
export class IncomingBody implements AsyncIterableIterator<Bytes, undefined> {
  /** Full pieces, oldest first, and the one that is being filled. */
  #pieces: Bytes[] = [];
  #tail: Bytes | undefined;
  #tailLength = 0;
  /** Views of the read buffer: until {@link settle}. */
  #arrived: Bytes[] = [];
  #held = 0;
  #ended = false;
  #left = false;
  #failure: { error: unknown } | undefined;
  #asked: { resolve(result: Result): void; reject(error: unknown): void }[] = [];

  /** Called when who iterates leaves before the end. */
  onLeave: () => void = () => {};

  /** @param consumed told of bytes that were taken, or dropped */
  constructor(readonly consumed: (bytes: number) => void) {}

  /** Whether what comes is dropped, for who read it has left. */
  get left(): boolean {
    return this.#left;
  }

  /** Whether somebody waits for bytes. */
  get awaited(): boolean {
    return this.#asked.length > 0;
  }

  /** Adds bytes, which stay valid until {@link settle}. */
  arrive(bytes: Bytes): void {
    if (this.#left || this.#failure) this.consumed(bytes.length);
    else {
      this.#arrived.push(bytes);
      this.#held += bytes.length;
    }
  }

  /** Copies what has arrived, and hands it to who waits. */
  settle(): void {
    if (this.#arrived.length === 0) return;
    const arrived = this.#arrived;
    this.#arrived = [];
    const whole = arrived.length === 1 ? arrived[0] : undefined;
    const length = whole?.length ?? arrived.reduce((sum, { length }) => sum + length, 0);
    if (this.#tail && this.#tailLength + length <= this.#tail.length) {
      for (const part of arrived) this.#append(part);
    } else {
      this.#closeTail();
      const room = Math.min(this.#held - length, LARGEST);
      if (room > length) {
        this.#tail = new Uint8Array(room);
        for (const part of arrived) this.#append(part);
      } else {
        this.#pieces.push(whole ? whole.slice() : concat(arrived));
      }
    }
    this.#serve();
  }

  /** There will be no more bytes. */
  end(): void {
    this.#ended = true;
    this.#serve();
  }

  /** The rest will not come. Changes nothing for a body that is there whole. */
  fail(error: unknown): void {
    if (this.#ended || this.#failure) return;
    this.#failure = { error };
    this.#drop();
    this.#serve();
  }

  /** Drops what is there and what still comes. */
  discard(): void {
    this.#left = true;
    this.#drop();
    this.#serve();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject });
      this.#serve();
    });
  }

  return(): Promise<Result> {
    if (!this.#ended && !this.#failure && !this.#left) this.onLeave();
    this.discard();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** As a generator that is left by an error: drops the rest, and rejects. */
  throw(error: unknown): Promise<Result> {
    this.discard();
    return Promise.reject(error);
  }

  #append(part: Bytes): void {
    this.#tail!.set(part, this.#tailLength);
    this.#tailLength += part.length;
  }

  #closeTail(): void {
    if (this.#tailLength > 0) this.#pieces.push(this.#tail!.subarray(0, this.#tailLength));
    this.#tail = undefined;
    this.#tailLength = 0;
  }

  #serve(): void {
    while (this.#asked.length > 0) {
      if (this.#pieces.length === 0) this.#closeTail();
      const piece = this.#pieces.shift();
      if (piece) {
        this.#asked.shift()!.resolve({ done: false, value: piece });
        this.#held -= piece.length;
        this.consumed(piece.length);
      } else if (this.#failure) this.#asked.shift()!.reject(this.#failure.error);
      else if (this.#left || (this.#ended && this.#arrived.length === 0)) {
        this.#asked.shift()!.resolve({ done: true, value: undefined });
      } else return;
    }
  }

  #drop(): void {
    const held = this.#held;
    this.#pieces = [];
    this.#tail = undefined;
    this.#tailLength = 0;
    this.#arrived = [];
    this.#held = 0;
    if (held > 0) this.consumed(held);
  }
}
