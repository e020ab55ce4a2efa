/**
 * Work that has to wait for other work on the same thing.
 */

/** Runs the work on one key in the order it came; different keys do not wait for each other. */
export class Turns {
  #last = new Map<string, Promise<unknown>>();

  /** Runs the work after all earlier work on this key has ended, well or not. Its outcome is the work's own. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const mine = before ? before.then(work, work) : work();
    this.#last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }

  /** Resolves when the work that was given so far has ended. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }
}
