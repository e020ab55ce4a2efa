/**
 * Answers whose clients do not read on: a body is asked for its next piece when the one before is on its way, so a client that reads
 * nothing shows in that nothing is asked for. Such a body is left after some time, and with it what it holds.
 */

/** The body of an answer that is under way. */
export interface SlowBody {
  /** Since when it waits for its client, as `performance.now()`; `undefined` while it does not. */
  waitsSince: number | undefined;
  /** Ends it, for the client has read nothing for too long. */
  cut(): void;
}

export class SlowReaders {
  #bodies = new Set<SlowBody>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param stallMs how long a client may read nothing, in milliseconds */
  constructor(readonly stallMs: number) {}

  /** Watches a body until its end. One timer does for all. */
  add(body: SlowBody): void {
    this.#bodies.add(body);
    this.#timer ??= setInterval(() => this.#look(), Math.max(10, Math.min(1000, this.stallMs / 4)));
  }

  delete(body: SlowBody): void {
    this.#bodies.delete(body);
    if (this.#bodies.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    for (const body of this.#bodies) {
      if (body.waitsSince === undefined || now - body.waitsSince < this.stallMs) continue;
      this.delete(body);
      body.cut();
    }
  }
}
