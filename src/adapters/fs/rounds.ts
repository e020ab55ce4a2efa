/**
 * Work that counts for everybody who asked before it began, like bringing a folder to the disk: those who ask while a
 * round runs share the next one.
 */

/** Rounds of work, one key's after the other. */
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
