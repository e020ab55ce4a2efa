/** Two ends of a byte stream in memory, with a bound on what is under way: client and server meet in one process. */
import { setImmediate } from "node:timers";
import type { Bytes } from "../../bytes/bytes.ts";
import type { Duplex } from "./duplex.ts";

/** One direction. */
class Flow {
  #buffer: Bytes;
  #length = 0;
  #closed = false;
  #wake: (() => void)[] = [];

  constructor(capacity: number) {
    this.#buffer = new Uint8Array(capacity);
  }

  async read(into: Bytes): Promise<number | null> {
    // As with a socket other work gets its turn: two ends that always have something to say would keep all timers waiting.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#length === 0) {
      if (this.#closed) return null;
      await this.#change();
    }
    const length = Math.min(this.#length, into.length);
    into.set(this.#buffer.subarray(0, length));
    this.#buffer.copyWithin(0, length, this.#length);
    this.#length -= length;
    this.#changed();
    return length;
  }

  async write(bytes: Bytes): Promise<number> {
    while (this.#length === this.#buffer.length && !this.#closed) await this.#change();
    if (this.#closed) throw new Error("Cannot write: the other end is closed");
    const length = Math.min(this.#buffer.length - this.#length, bytes.length);
    this.#buffer.set(bytes.subarray(0, length), this.#length);
    this.#length += length;
    this.#changed();
    return length;
  }

  close(): void {
    this.#closed = true;
    this.#changed();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** @param capacity bytes each direction holds before writes wait */
export function duplexPipe(capacity = 64 * 1024): [Duplex, Duplex] {
  const there = new Flow(capacity);
  const back = new Flow(capacity);
  return [end(back, there), end(there, back)];
}

function end(from: Flow, to: Flow): Duplex {
  return {
    read: (into) => from.read(into),
    write: (bytes) => to.write(bytes),
    close() {
      from.close();
      to.close();
    },
  };
}
