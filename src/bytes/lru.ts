/**
 * A cache with a bound on the weight of what it holds; what was not used for longest goes first.
 */
export class Lru<K, V> {
  #held = new Map<K, { value: V; weight: number }>();
  #weight = 0;

  /** @param limit weight held at most; a single heavier value is not held */
  constructor(readonly limit: number) {}

  /** The value, which counts as used now. */
  get(key: K): V | undefined {
    const found = this.#held.get(key);
    if (!found) return undefined;
    this.#held.delete(key);
    this.#held.set(key, found);
    return found.value;
  }

  /** Holds a value, replacing another under the key. */
  set(key: K, value: V, weight: number): void {
    this.delete(key);
    if (weight > this.limit) return;
    this.#held.set(key, { value, weight });
    this.#weight += weight;
    for (const [oldest, { weight: freed }] of this.#held) {
      if (this.#weight <= this.limit) break;
      this.#held.delete(oldest);
      this.#weight -= freed;
    }
  }

  /** Forgets a value. */
  delete(key: K): void {
    const found = this.#held.get(key);
    if (!found) return;
    this.#held.delete(key);
    this.#weight -= found.weight;
  }
}
