/**
 * A bound on how much may be under way at once: bytes in flight, usually.
 */
export class Budget {
  #used = 0;
  #waiting: { amount: number; admit: () => void }[] = [];

  /** @param limit what may be taken at once; a single larger amount is admitted when nothing else is out */
  constructor(readonly limit: number) {}

  /** What is taken now. */
  get used(): number {
    return this.#used;
  }

  /**
   * Takes an amount. Returns nothing when it was to be had at once, else a promise to wait for: so that a loop over
   * small amounts pays for a wait only when there is one. First come, first served.
   */
  take(amount: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#fits(amount)) {
      this.#used += amount;
      return undefined;
    }
    return new Promise((admit) => this.#waiting.push({ amount, admit }));
  }

  /** Takes an amount if that can be had at once, and says whether it did: for what one can do without. */
  tryTake(amount: number): boolean {
    if (this.#waiting.length > 0 || !this.#fits(amount)) return false;
    this.#used += amount;
    return true;
  }

  /** Gives an amount back. */
  give(amount: number): void {
    this.#used -= amount;
    while (this.#waiting.length > 0 && this.#fits(this.#waiting[0].amount)) {
      const next = this.#waiting.shift()!;
      this.#used += next.amount;
      next.admit();
    }
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.limit;
  }
}
