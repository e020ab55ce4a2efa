/** Telling how far long work is, on stderr: in a terminal one line that changes, elsewhere a line now and then. */

/** Milliseconds between two changes of the line. */
const TERMINAL_MS = 100;
/** Milliseconds between two lines. */
const LINES_MS = 10_000;

export class Progress implements Disposable {
  #terminal = Deno.stderr.isTerminal();
  #last = performance.now();
  #shown = false;

  /** Tells where the work is, if it is time to. `line` is asked only then. */
  tell(line: () => string): void {
    const now = performance.now();
    if (now - this.#last < (this.#terminal ? TERMINAL_MS : LINES_MS)) return;
    this.#last = now;
    this.#shown = true;
    write(this.#terminal ? `\r\x1b[K${line()}` : `${line()}\n`);
  }

  /** Clears the line. */
  [Symbol.dispose](): void {
    if (this.#terminal && this.#shown) write("\r\x1b[K");
    this.#shown = false;
  }
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

/** A signal that the first SIGINT or SIGTERM aborts, while it is in scope. */
export class Interruption implements Disposable {
  #aborting = new AbortController();
  #abort = () => this.#aborting.abort(new InterruptedError());

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, this.#abort);
  }

  get signal(): AbortSignal {
    return this.#aborting.signal;
  }

  [Symbol.dispose](): void {
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, this.#abort);
  }
}

/** Somebody asked the command to stop. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}
