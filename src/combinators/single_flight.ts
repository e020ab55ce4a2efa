/**
 * Who asks for what somebody else is asking for already gets the same answer: one call for many, and one pass over a
 * stream.
 */
export class SingleFlight {
  #answers = new Map<string, Promise<unknown>>();
  #streams = new Map<string, SharedStream<unknown>>();

  /** The answer to a question, asked unless it is being asked. Under one key there is one type of answer. */
  async run<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const asked = this.#answers.get(key);
    if (asked) return await asked as T;
    const answer = ask();
    this.#answers.set(key, answer);
    try {
      return await answer;
    } finally {
      this.#answers.delete(key);
    }
  }

  /** A stream from its beginning, begun unless somebody is reading it. What was read is held until nobody is. */
  stream<T>(key: string, begin: () => AsyncIterable<T>): AsyncIterable<T> {
    const found = this.#streams.get(key);
    if (found) return found as SharedStream<T>;
    const stream: SharedStream<T> = new SharedStream(begin(), () => {
      if (this.#streams.get(key) === stream) this.#streams.delete(key);
    });
    this.#streams.set(key, stream);
    return stream;
  }
}

/** A pass over a source, at the pace of the fastest of its readers. */
class SharedStream<T> implements AsyncIterable<T> {
  #source: AsyncIterator<T>;
  #over: () => void;
  #items: T[] = [];
  #end: { error?: unknown } | undefined;
  #pulling: Promise<void> | undefined;
  #readers = 0;

  /** @param over told when no new reader may come */
  constructor(source: AsyncIterable<T>, over: () => void) {
    this.#source = source[Symbol.asyncIterator]();
    this.#over = over;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    this.#readers++;
    try {
      for (let i = 0;; i++) {
        while (i === this.#items.length) {
          if (this.#end && "error" in this.#end) throw this.#end.error;
          if (this.#end) return;
          await (this.#pulling ??= this.#pull());
        }
        yield this.#items[i];
      }
    } finally {
      if (--this.#readers === 0) await this.#close();
    }
  }

  async #pull(): Promise<void> {
    try {
      const { done, value } = await this.#source.next();
      if (done) this.#end = {};
      else this.#items.push(value);
    } catch (error) {
      this.#end = { error };
    } finally {
      this.#pulling = undefined;
    }
  }

  async #close(): Promise<void> {
    this.#over();
    if (!this.#end) await this.#source.return?.();
  }
}
