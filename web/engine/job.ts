/**
 * Jobs: calls that take long, that can be cancelled by their name, and that tell how far they are.
 */
import type { Phase, Progress, Report } from "./engine.ts";

/** Milliseconds between reports. */
const PAUSE = 100;

/** One call. */
export class Job {
  readonly signal: AbortSignal;
  moved = 0;
  toMove: number | undefined;
  done = 0;
  total: number | undefined;
  shared = 0;
  #phase: Phase = "asking";
  #path: string | undefined;
  #started = performance.now();
  #told = -Infinity;
  #report: Report | undefined;
  readonly #saved: () => number;
  readonly #savedBefore: number;

  /** @param saved bytes that encodings of answers have spared so far: they are counted as they arrive here, decoded */
  constructor(signal: AbortSignal, report?: Report, saved: () => number = () => 0) {
    this.signal = signal;
    this.#report = report;
    this.#saved = saved;
    this.#savedBefore = saved();
  }

  /** What it does from now on, and to which path. */
  enter(phase: Phase, path: string | undefined = this.#path): void {
    this.signal.throwIfAborted();
    const changed = phase !== this.#phase || path !== this.#path;
    this.#phase = phase;
    this.#path = path;
    this.tell(changed);
  }

  /** Counts bytes that went over the network, or were read from a dropped file. */
  readonly countMoved = (bytes: number): void => {
    this.moved += bytes;
    this.tell();
  };

  /** Counts bytes of contents that are done; `shared`: they had not to be moved. */
  count(bytes: number, shared = false): void {
    this.done += bytes;
    if (shared) this.shared += bytes;
    this.tell();
  }

  /** Tells how far it is, if somebody wants to know and it is time. */
  tell(now = false): void {
    if (!this.#report) return;
    const at = performance.now();
    if (!now && at - this.#told < PAUSE) return;
    this.#told = at;
    const progress: Progress = {
      phase: this.#phase,
      moved: Math.max(0, this.moved - (this.#saved() - this.#savedBefore)),
      done: this.done,
      shared: this.shared,
      elapsed: at - this.#started,
      ...(this.#path !== undefined && { path: this.#path }),
      ...(this.toMove !== undefined && { toMove: this.toMove }),
      ...(this.total !== undefined && { total: this.total }),
    };
    // Over a line to a page this is a promise, and the page may be gone: then nobody wants to know any more.
    Promise.resolve(this.#report(progress)).catch(() => this.#report = undefined);
  }
}

/** A job nobody asked for. */
export function quiet(): Job {
  return new Job(new AbortController().signal);
}

/** The calls that are under way. */
export class Jobs {
  #running = new Map<string, Set<AbortController>>();
  readonly #saved: (() => number) | undefined;

  constructor(saved?: () => number) {
    this.#saved = saved;
  }

  /** Runs a call that can be cancelled by its name, if it has one. */
  async run<T>(
    name: string | undefined,
    report: Report | undefined,
    work: (job: Job) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    const job = new Job(controller.signal, report, this.#saved);
    const group = name === undefined ? undefined : this.#group(name);
    group?.add(controller);
    try {
      const result = await work(job);
      job.enter("done");
      return result;
    } finally {
      group?.delete(controller);
      if (name !== undefined && group?.size === 0) this.#running.delete(name);
    }
  }

  cancel(name: string): void {
    for (const controller of this.#running.get(name) ?? []) {
      controller.abort(new DOMException("Cancelled", "AbortError"));
    }
  }

  #group(name: string): Set<AbortController> {
    const group = this.#running.get(name) ?? new Set();
    this.#running.set(name, group);
    return group;
  }
}
