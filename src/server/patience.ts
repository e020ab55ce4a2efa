/**
 * How long requests for narinfos may wait for a NAR to be pressed, so that together they lose little by it.
 *
 * What was published here a moment ago will be pressed soon: whoever asks for it waits for up to 5 seconds, while not too many do. An
 * old store may have thousands of paths that are not pressed, of which a client asks for a whole closure: all who ask for those
 * share 5 seconds, and then nobody waits for a minute. So a client loses at most that, and its next copy has all of it pressed.
 */

/** Milliseconds a request waits. */
const WAIT_MS = 5000;
/** Requests that wait at once. */
const MOST_WAITING = 64;
/** Milliseconds in which requests for old paths may wait, and after which they may again. */
const WINDOW_MS = 5000, REST_MS = 60_000;

export class Patience {
  #waiting = 0;
  #windowBegun = -Infinity;
  #now: () => number;

  /** @param now milliseconds, for intervals */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Milliseconds that a request may wait now; 0: it may not. @param isNew whether it asks for what was just published here */
  left(isNew: boolean): number {
    if (this.#waiting >= MOST_WAITING) return 0;
    if (isNew) return WAIT_MS;
    const now = this.#now();
    if (now - this.#windowBegun >= WINDOW_MS + REST_MS) this.#windowBegun = now;
    return Math.max(0, this.#windowBegun + WINDOW_MS - now);
  }

  /** What the promise comes to within so many milliseconds; `undefined` if it does not, or fails. */
  async wait<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), milliseconds);
    });
    this.#waiting++;
    try {
      return await Promise.race([promise.catch(() => undefined), late]);
    } finally {
      this.#waiting--;
      clearTimeout(timer);
    }
  }
}
