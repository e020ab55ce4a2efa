/**
 * Many small copies in few buffers. A byte array of its own costs a few hundred bytes besides its bytes, which is most of
 * the memory of a tree of 200,000 names and digests; a view of a shared buffer costs a third of that.
 */
import type { Bytes } from "./bytes.ts";

/** Bytes of a shared buffer. It is freed when the last copy in it is. */
const LENGTH = 32 * 1024;

export class Slab {
  #buffer: Bytes = new Uint8Array(0);
  #at = 0;

  /** A copy of some bytes, as a view among others. */
  copy(bytes: Uint8Array): Bytes {
    const { length } = bytes;
    if (length > LENGTH / 8) return new Uint8Array(bytes);
    if (this.#at + length > this.#buffer.length) {
      this.#buffer = new Uint8Array(LENGTH);
      this.#at = 0;
    }
    this.#buffer.set(bytes, this.#at);
    this.#at += length;
    return this.#buffer.subarray(this.#at - length, this.#at);
  }
}
