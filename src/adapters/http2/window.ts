/**
 * Flow control (RFC 9113, section 5.2): how many bytes of DATA may still be sent, and how many the peer may.
 */
import { MAX_31_BITS } from "./frames.ts";

/** The window of everything until a peer says otherwise. */
export const DEFAULT_WINDOW = 65_535;

/** What may be sent, on a stream or a connection. */
export class SendWindow {
  #available: number;

  constructor(size: number) {
    this.#available = size;
  }

  /** Bytes that may be sent now. Below zero when the peer made its windows smaller: then some must come back first. */
  get available(): number {
    return this.#available;
  }

  /** Sends some bytes. */
  take(bytes: number): void {
    this.#available -= bytes;
  }

  /** The peer allows more bytes, or fewer. Returns false if the window is larger now than a window may be. */
  add(bytes: number): boolean {
    this.#available += bytes;
    return this.#available <= MAX_31_BITS;
  }
}

/** What the peer may send. It is told of more when half of the window was consumed: few updates, and never a pause. */
export class ReceiveWindow {
  #available: number;
  #consumed = 0;

  /** @param size bytes that may be received and not yet consumed */
  constructor(readonly size: number) {
    this.#available = size;
  }

  /** The peer sent this many bytes. Returns false if it may not. */
  receive(bytes: number): boolean {
    this.#available -= bytes;
    return this.#available >= 0;
  }

  /** Bytes were consumed. Returns the increment to tell the peer of now, or 0. */
  consume(bytes: number): number {
    this.#consumed += bytes;
    if (this.#consumed * 2 < this.size) return 0;
    const increment = this.#consumed;
    this.#consumed = 0;
    this.#available += increment;
    return increment;
  }
}
