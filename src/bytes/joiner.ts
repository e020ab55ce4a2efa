/** Putting short stretches together into pieces that are large enough for a socket. */
import type { Bytes } from "./bytes.ts";

/** Pieces handed out have about this many bytes. */
const PIECE = 256 * 1024;
/** A stretch of this length and more is handed out as it is. */
const LONG = 64 * 1024;

export class Joiner {
  #buffer: Bytes | undefined;
  #filled = 0;

  /** Adds a stretch and returns what is ready. */
  *add(bytes: Bytes): Generator<Bytes, void, void> {
    if (bytes.length >= LONG) {
      const before = this.end();
      if (before) yield before;
      yield bytes;
      return;
    }
    if (this.#filled + bytes.length > PIECE) yield this.end()!;
    this.#buffer ??= new Uint8Array(PIECE);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  /** What was gathered, if anything. */
  end(): Bytes | undefined {
    if (this.#filled === 0) return undefined;
    const piece = this.#buffer!.subarray(0, this.#filled);
    this.#buffer = undefined;
    this.#filled = 0;
    return piece;
  }
}
