/** One timer for the time-outs of many connections: coarse, and nothing to set or clear for each stream. */

export interface Member {
  /** Looks for what took too long. @param now as `performance.now()` */
  tick(now: number): void;
}

export class Rounds {
  #members = new Set<Member>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param everyMs milliseconds between two rounds */
  constructor(readonly everyMs: number) {}

  add(member: Member): void {
    this.#members.add(member);
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => {
      const now = performance.now();
      for (const each of this.#members) each.tick(now);
    }, this.everyMs);
  }

  delete(member: Member): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
