/** Those who want to know when what is kept changes, in this tab or another. */

/** Milliseconds in which several changes are told as one. */
const PAUSE = 200;

export class Watchers {
  readonly #watchers = new Set<() => unknown>();
  readonly #channel: BroadcastChannel | undefined;
  /** Counts changes, so that what was found out before one is known to be old. */
  version = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(channel: BroadcastChannel | undefined) {
    this.#channel = channel;
    channel?.addEventListener("message", () => this.#soon());
  }

  add(watcher: () => unknown): void {
    this.#watchers.add(watcher);
  }

  /** Something changed in this tab. */
  changed(): void {
    this.#channel?.postMessage("changed");
    this.#soon();
  }

  #soon(): void {
    this.version++;
    if (this.#watchers.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const watcher of this.#watchers) {
        // Over a line to a page this is a promise, and the page may be gone.
        Promise.resolve(watcher()).catch(() => this.#watchers.delete(watcher));
      }
    }, PAUSE);
  }
}
