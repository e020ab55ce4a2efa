/**
 * Buffers of one length that are used again: fresh memory costs more than filling it, and is left to the garbage
 * collector, which is in no hurry.
 */
import type { Bytes } from "./bytes.ts";

export class BufferPool {
  #spare: Bytes[] = [];

  /**
   * @param length bytes of each buffer
   * @param kept how many that are not in use are kept
   */
  constructor(readonly length: number, readonly kept: number) {}

  /** A buffer, with whatever it held before. */
  take(): Bytes {
    return this.#spare.pop() ?? new Uint8Array(this.length);
  }

  /** Gives a buffer back. Nobody may use it, or a view of it, from then on. */
  give(buffer: Bytes): void {
    if (this.#spare.length < this.kept) this.#spare.push(buffer);
  }
}
