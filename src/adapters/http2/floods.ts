/**
 * Bounds on what costs the peer little and us something: resets of streams, and frames that move nothing on. Each has a
 * budget that refills with time, and with the work that makes such frames rightful.
 */

export class TokenBucket {
  #tokens: number;
  #filledAt = 0;

  /**
   * @param burst tokens it holds at most, and at first
   * @param perSecond tokens that come back each second
   */
  constructor(readonly burst: number, readonly perSecond: number) {
    this.#tokens = burst;
  }

  /** Takes one token. Returns false if there is none. @param now milliseconds of a clock that never goes back */
  take(now: number): boolean {
    this.give(Math.max(0, now - this.#filledAt) * this.perSecond / 1000);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Puts tokens in. */
  give(tokens: number): void {
    this.#tokens = Math.min(this.burst, this.#tokens + tokens);
  }
}
