/**
 * A bound on the bytes that all connections of a server have received and nobody has consumed yet. Windows bound one
 * connection; a thousand of them are bounded here: those that hold most are not read from until there is room.
 */

/** What one connection may hold however much the others do, so that all of them go on. */
const FREE = 256 * 1024;

export class HeldBytes {
  #used = 0;
  #waiting: { held: () => number; wake: () => void }[] = [];

  constructor(readonly limit: number) {}

  /** Bytes held now. */
  get used(): number {
    return this.#used;
  }

  add(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ held }) => !this.#mayRead(held()));
    for (const { held, wake } of waiting) if (this.#mayRead(held())) wake();
  }

  /**
   * Nothing if a connection may read now, else a promise to wait for before it does.
   *
   * @param held what the connection holds, asked again when something was given back
   */
  room(held: () => number): Promise<void> | undefined {
    if (this.#mayRead(held())) return undefined;
    return new Promise((wake) => this.#waiting.push({ held, wake }));
  }

  #mayRead(held: number): boolean {
    return this.#used <= this.limit || held <= FREE;
  }
}
