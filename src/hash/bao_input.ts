/** A stream read in portions of the reader's choice: what slices are made of and verified from. */
import { type Bytes, EMPTY } from "../bytes/bytes.ts";
import { type ByteSource, iterate } from "../bytes/streams.ts";

/** Reads a source, which belongs to it from now on. Holds one of its pieces at most. */
export class BaoInput {
  #pieces: AsyncGenerator<Bytes, void, void>;
  #piece: Bytes = EMPTY;

  constructor(source: ByteSource) {
    this.#pieces = iterate(source);
  }

  /**
   * The next `length` bytes, or `undefined` where the source ends before. They are valid until the next call: they may
   * be the source's own.
   */
  async take(length: number): Promise<Bytes | undefined> {
    if (this.#piece.length >= length) return this.#cut(length);
    const bytes = new Uint8Array(length);
    let fill = 0;
    while (true) {
      const part = this.#cut(Math.min(this.#piece.length, length - fill));
      bytes.set(part, fill);
      fill += part.length;
      if (fill === length) return bytes;
      if (await this.atEnd()) return undefined;
    }
  }

  /** Whether no bytes are left. */
  async atEnd(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done) return true;
      this.#piece = value;
    }
    return false;
  }

  /** Cancels the source. */
  async close(): Promise<void> {
    // Whoever closes has all that was wanted, or an error to tell; that the source fails to close adds nothing.
    await this.#pieces.return().catch(() => {});
  }

  #cut(length: number): Bytes {
    const bytes = this.#piece.subarray(0, length);
    this.#piece = this.#piece.subarray(length);
    return bytes;
  }
}
