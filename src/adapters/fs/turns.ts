/**
 * Work that has to wait for other work on the same thing: turns, one after the other, and rounds, which many share.
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

/**
 * Work that counts for everybody who asked before it began, like bringing a folder to the disk: those who ask while a
 * round runs share the next one.
 */
export class Rounds {
  #running = new Map<string, Promise<void>>();
  #next = new Map<string, Promise<void>>();

  constructor(readonly work: (key: string) => Promise<void>) {}

  /** Resolves when a round that began after this call has ended. */
  join(key: string): Promise<void> {
    const next = this.#next.get(key);
    if (next) return next;
    const running = this.#running.get(key);
    const round = running ? running.then(() => this.#start(key), () => this.#start(key)) : this.#start(key);
    if (running) this.#next.set(key, round);
    return round;
  }

  #start(key: string): Promise<void> {
    this.#next.delete(key);
    const round = this.work(key).finally(() => {
      if (this.#running.get(key) === round) this.#running.delete(key);
    });
    this.#running.set(key, round);
    return round;
  }
}
