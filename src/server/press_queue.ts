/**
 * Work that goes on behind requests, each piece once however many want it: a few at a time, first what somebody waits for, then
 * what was only put in line. Nothing of it is written down: what a crash or an end leaves undone is done when it is asked for.
 */
import { StoreBusyError } from "../errors.ts";

/** Pieces of work at once: a short one does not wait for a long one. */
const LANES = 2;
/** Pieces that are not done, at most; what does not fit is done when it is asked for again. */
const MOST = 100_000;

export interface PressQueueOptions {
  /** Pieces of work at once; default 2. */
  readonly lanes?: number;
  /** Pieces that are not done, at most; default 100,000. */
  readonly most?: number;
}

/** A piece of work. */
interface Task<T> {
  readonly work: (signal: AbortSignal) => Promise<T>;
  readonly done: PromiseWithResolvers<T>;
}

export class PressQueue<T> implements AsyncDisposable {
  /** In line, and those among them that somebody waits for. */
  #later = new Map<string, Task<T>>();
  #wanted = new Map<string, Task<T>>();
  #underWay = new Map<string, Task<T>>();
  #running = new Set<Promise<void>>();
  #ending = new AbortController();
  #lanes: number;
  #most: number;

  constructor({ lanes = LANES, most = MOST }: PressQueueOptions = {}) {
    this.#lanes = lanes;
    this.#most = most;
  }

  /** Pieces that are not done. */
  get size(): number {
    return this.#later.size + this.#wanted.size + this.#underWay.size;
  }

  /** What a piece of work will come to, if it is in line or under way. */
  find(key: string): Promise<T> | undefined {
    return (this.#underWay.get(key) ?? this.#wanted.get(key) ?? this.#later.get(key))?.done.promise;
  }

  /**
   * Puts a piece of work in line, unless it is. The promise fails as the work does, and when this has ended, or there is no room; nobody
   * has to listen to it.
   */
  add(key: string, work: Task<T>["work"]): Promise<T> {
    const found = this.find(key);
    if (found) return found;
    const done = Promise.withResolvers<T>();
    done.promise.catch(() => {});
    if (this.#ending.signal.aborted) done.reject(this.#ending.signal.reason);
    else if (this.size >= this.#most) {
      done.reject(new StoreBusyError("Cannot do it now: too much is to be done"));
    } else {
      this.#later.set(key, { work, done });
      this.#go();
    }
    return done.promise;
  }

  /** As `add`, before all that nobody waits for. */
  want(key: string, work: Task<T>["work"]): Promise<T> {
    const waiting = this.#later.get(key);
    if (waiting) {
      this.#later.delete(key);
      this.#wanted.set(key, waiting);
      return waiting.done.promise;
    }
    const done = this.add(key, work);
    const added = this.#later.get(key);
    if (added) {
      this.#later.delete(key);
      this.#wanted.set(key, added);
    }
    return done;
  }

  /** Takes nothing more, and ends what is under way. */
  end(): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(new StoreBusyError("Cannot do it now: the server is stopping"));
    for (const waiting of [this.#later, this.#wanted]) {
      for (const { done } of waiting.values()) done.reject(this.#ending.signal.reason);
      waiting.clear();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    await Promise.all(this.#running);
  }

  #go(): void {
    while (this.#underWay.size < this.#lanes) {
      const from = this.#wanted.size > 0 ? this.#wanted : this.#later;
      const [next] = from;
      if (!next) return;
      const [key, task] = next;
      from.delete(key);
      this.#underWay.set(key, task);
      const running = this.#run(key, task).finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
  }

  async #run(key: string, { work, done }: Task<T>): Promise<void> {
    try {
      done.resolve(await work(this.#ending.signal));
    } catch (error) {
      done.reject(error);
    } finally {
      this.#underWay.delete(key);
      this.#go();
    }
  }
}
