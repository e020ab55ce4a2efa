/** Threads that compress beside the main one. The first is started at once, as that takes a while; others when they are needed. */
import { Budget } from "../bytes/budget.ts";
import { type Bytes, concat } from "../bytes/bytes.ts";
import type { FrameEncoder } from "../combinators/pack_frames.ts";
import type { FrameBatch, FrameTask } from "./frame_worker.ts";

/** Batches that a worker has at once: while it is at one, the next is there already. A batch is a copy of its values. */
const AT_ONCE = 2;
const CLOSED = "Cannot compress: the store was closed";

/** A worker, and who waits for it. */
interface Hand {
  readonly worker: Worker;
  readonly waiting: PromiseWithResolvers<FrameBatch>[];
}

/** Compresses in so many workers. Disposing it ends them; what they are at, and what waits for them, fails. */
export class FrameWorkers implements FrameEncoder, AsyncDisposable {
  #most: number;
  #level: number;
  #hands: Hand[] = [];
  #batches: Budget;
  #closed = false;

  /** @param level of zstd, 1 to 19 */
  constructor(workers: number, level: number) {
    this.#most = workers;
    this.#level = level;
    this.#batches = new Budget(AT_ONCE * workers);
    this.#hands.push(this.#begin());
  }

  async encode(values: readonly Bytes[]): Promise<(Bytes | undefined)[]> {
    await this.#batches.take(1);
    try {
      if (this.#closed) throw new Error(CLOSED);
      const { buffer, lengths } = await this.#send(
        concat(values).buffer,
        Uint32Array.from(values, ({ length }) => length),
      );
      let at = 0;
      return Array.from(lengths, (length) => {
        if (length === 0) return undefined;
        at += length;
        return new Uint8Array(buffer, at - length, length);
      });
    } finally {
      this.#batches.give(1);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const hand of [...this.#hands]) this.#end(hand, new Error(CLOSED));
    return Promise.resolve();
  }

  #send(buffer: ArrayBuffer, lengths: Uint32Array<ArrayBuffer>): Promise<FrameBatch> {
    const hand = this.#idlest();
    const answer = Promise.withResolvers<FrameBatch>();
    const task: FrameTask = { buffer, lengths, level: this.#level };
    hand.worker.postMessage(task, { transfer: [buffer, lengths.buffer] });
    hand.waiting.push(answer);
    return answer.promise;
  }

  #idlest(): Hand {
    const least = this.#hands.toSorted((a, b) => a.waiting.length - b.waiting.length)[0];
    if (least?.waiting.length === 0 || this.#hands.length === this.#most) return least;
    const hand = this.#begin();
    this.#hands.push(hand);
    return hand;
  }

  #begin(): Hand {
    const worker = new Worker(new URL("frame_worker.ts", import.meta.url), { type: "module" });
    const hand: Hand = { worker, waiting: [] };
    worker.onmessage = ({ data }: MessageEvent<FrameBatch>) => hand.waiting.shift()!.resolve(data);
    worker.onerror = (event) => {
      event.preventDefault(); // who waits for it hears of it
      this.#end(hand, new Error(`Cannot compress: ${event.message}`));
    };
    return hand;
  }

  #end(hand: Hand, error: Error): void {
    hand.worker.terminate();
    this.#hands.splice(this.#hands.indexOf(hand), 1);
    for (const { reject } of hand.waiting) reject(error);
  }
}
