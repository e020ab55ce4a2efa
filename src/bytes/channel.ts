/**
 * A queue between a producer and one consumer, both in this thread. The producer waits when the consumer is behind.
 */
export class Channel<T> implements AsyncIterable<T> {
  #items: { item: T; weight: number }[] = [];
  #queued = 0;
  #end: { error?: unknown } | undefined;
  #abandoned = false;
  #wakeConsumer: (() => void) | undefined;
  #wakeProducer: (() => void) | undefined;
  #idle = false;
  #wakeDrained: (() => void) | undefined;

  /** @param limit weight that may be queued before {@link push} asks to wait */
  constructor(readonly limit: number) {}

  /**
   * Queues an item. Returns a promise to wait for when the queue is full, and nothing otherwise; and nothing when the
   * consumer has left or the channel has ended, for then nobody will take it.
   */
  push(item: T, weight = 1): Promise<void> | undefined {
    if (this.#abandoned || this.#end) return undefined;
    this.#idle = false;
    this.#items.push({ item, weight });
    this.#queued += weight;
    this.#wakeConsumer?.();
    if (this.#queued <= this.limit) return undefined;
    return new Promise((resolve) => this.#wakeProducer = resolve);
  }

  /** Waits until the consumer is done with every item, or has left. Returns nothing when it is. */
  drained(): Promise<void> | undefined {
    if (this.#abandoned || this.#failed || (this.#idle && this.#items.length === 0)) return undefined;
    return new Promise((resolve) => this.#wakeDrained = resolve);
  }

  /** No more items. */
  close(): void {
    this.#end ??= {};
    this.#wakeConsumer?.();
  }

  /** The consumer gets this error after the items that are queued, and nobody waits for it any more. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#wakeConsumer?.();
    this.#wakeProducer?.();
    this.#wakeDrained?.();
  }

  get #failed(): boolean {
    return this.#end !== undefined && "error" in this.#end;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    try {
      while (true) {
        const next = this.#items.shift();
        if (next) {
          this.#release(next.weight);
          yield next.item;
        } else if (this.#end) {
          if ("error" in this.#end) throw this.#end.error;
          return;
        } else {
          const woken = new Promise<void>((resolve) => this.#wakeConsumer = resolve);
          this.#idle = true;
          this.#wakeDrained?.();
          await woken;
          this.#idle = false;
          this.#wakeConsumer = undefined;
        }
      }
    } finally {
      this.#abandoned = true;
      this.#items = [];
      this.#release(this.#queued);
      this.#wakeDrained?.();
    }
  }

  #release(weight: number): void {
    this.#queued -= weight;
    if (this.#queued <= this.limit || this.#abandoned) {
      this.#wakeProducer?.();
      this.#wakeProducer = undefined;
    }
  }
}
