/** One call under way, and its way out: it is aborted when it is over, when it is given up, and when it stalls. */
export class Call {
  readonly #controller = new AbortController();
  readonly #stallMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the server last did something; `undefined` while it is not its turn. */
  #last: number | undefined;
  #kept = false;
  #stalled = false;

  /** @param stallMs how long the server may do nothing, in milliseconds */
  constructor(stallMs: number) {
    this.#stallMs = stallMs;
    this.progress();
  }

  /** For the transport. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it was aborted because the server did nothing for too long. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Whether it goes on after the attempt that began it. */
  get kept(): boolean {
    return this.#kept;
  }

  /** The server did something, or it is its turn now. */
  progress(): void {
    this.#last = performance.now();
    this.#timer ??= setTimeout(() => this.#look(), this.#stallMs);
  }

  /** It is not the server's turn: whatever time passes is not its fault. */
  pause(): void {
    this.#last = undefined;
  }

  /** Lets the call go on after the attempt that began it; who asks for this ends it. */
  keep(): this {
    this.#kept = true;
    return this;
  }

  /** Ends the call, wherever it is. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#last = undefined;
    this.#controller.abort();
  }

  /** One timer serves many signs of life: it is set again for what is left, if anything. */
  #look(): void {
    this.#timer = undefined;
    if (this.#last === undefined) return;
    const left = this.#last + this.#stallMs - performance.now();
    if (left > 0) this.#timer = setTimeout(() => this.#look(), left);
    else {
      this.#stalled = true;
      this.#controller.abort();
    }
  }
}
