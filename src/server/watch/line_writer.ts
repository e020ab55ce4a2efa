/**
 * Writes lines, many at once, and one write at a time. Who is written to may be slow: what waits is bounded, and beyond that lines
 * are lost, which the next line says. Lines that wait when a process is killed are lost, too: at most {@link LINGER_MS} of them.
 */
import { type Bytes, fromText } from "../../bytes/bytes.ts";

const LINGER_MS = 50;
/** Characters that make a write worth while at once. */
const ENOUGH = 64 * 1024;
/** Characters that may wait. */
const MOST_WAITING = 4 * 1024 * 1024;

export class LineWriter {
  #write: (bytes: Bytes) => Promise<void>;
  #lines: string[] = [];
  #length = 0;
  #lost = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | undefined;
  #mostWaiting: number;

  /** @param write writes all of the bytes, which stay as they are until it resolves; what it rejects with is dropped */
  constructor(write: (bytes: Bytes) => Promise<void>, mostWaiting = MOST_WAITING) {
    this.#write = write;
    this.#mostWaiting = mostWaiting;
  }

  /** Lines that were lost since the last one that was not. */
  get lost(): number {
    return this.#lost;
  }

  /** Adds a line, without its end. */
  line(text: string): void {
    if (this.#length + text.length > this.#mostWaiting) {
      this.#lost++;
      return;
    }
    if (this.#lost > 0) this.#add(`${this.#lost} lines were lost: they were not read fast enough`);
    this.#lost = 0;
    this.#add(text);
    if (this.#writing) return;
    if (this.#length >= ENOUGH) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), LINGER_MS);
  }

  /** What waits, for who has to write it now, in another way; it waits no more. */
  take(): Bytes {
    const bytes = fromText(this.#lines.join(""));
    this.#lines = [];
    this.#length = 0;
    return bytes;
  }

  /** Resolves when everything was written. */
  async drained(): Promise<void> {
    do {
      this.#flush();
      await this.#writing;
    } while (this.#length > 0);
  }

  #add(text: string): void {
    this.#lines.push(text, "\n");
    this.#length += text.length + 1;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writing || this.#length === 0) return;
    this.#writing = this.#run().finally(() => {
      this.#writing = undefined;
      if (this.#length > 0) this.#timer ??= setTimeout(() => this.#flush(), LINGER_MS); // came when the last write had ended
    });
  }

  async #run(): Promise<void> {
    while (this.#length > 0) {
      try {
        await this.#write(this.take());
      } catch {
        return this.#lines.length > 0 ? void this.take() : undefined; // nobody reads it any more
      }
    }
  }
}
