/**
 * The streams of a connection: those that are open, and how the last ones that are not were closed, for what a late frame
 * means depends on that (RFC 9113, section 5.1).
 */
import type { Stream } from "./stream.ts";

/** How a stream was closed: both sides sent all; we reset it, and the peer may not know yet; the peer reset it. */
export type HowClosed = "ended" | "reset here" | "reset by peer";

/** How many closed streams are remembered. */
const REMEMBERED = 4096;

export class StreamTable implements Iterable<Stream> {
  #open = new Map<number, Stream>();
  #closed = new Map<number, HowClosed>();

  get size(): number {
    return this.#open.size;
  }

  get(id: number): Stream | undefined {
    return this.#open.get(id);
  }

  add(stream: Stream): void {
    this.#open.set(stream.id, stream);
  }

  /** Forgets a stream, but not how it was closed. */
  close(id: number, how: HowClosed): void {
    this.#open.delete(id);
    this.#closed.set(id, how);
    if (this.#closed.size > REMEMBERED) {
      for (const oldest of this.#closed.keys()) {
        this.#closed.delete(oldest);
        break;
      }
    }
  }

  /** How a stream was closed; nothing if it never was open, or that was long ago. */
  closing(id: number): HowClosed | undefined {
    return this.#closed.get(id);
  }

  [Symbol.iterator](): Iterator<Stream> {
    return this.#open.values();
  }
}
