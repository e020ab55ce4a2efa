/**
 * A database whose operations are watched: told of, and, where a server answers them, given up when they take too long.
 *
 * The platform goes on trying for ever while a server is away. What was given up here may so be done later; that shows nothing
 * false, for each atomic of a store is right whenever it is committed. While some that were given up have not ended, the
 * server is still away, and new ones fail at once instead of joining them.
 */
import { RemoteError } from "../../errors.ts";
import type { KvLike } from "./records.ts";

/** Milliseconds after which an operation is given up: a server that is started again is waited for. */
const TIMEOUT_MS = 30_000;
/** Operations that may be given up and not have ended. */
const MOST_LOST = 8;
/** Entries the platform reads at once unless told. */
const BATCH = 100;

/** One question to Deno KV, and its answer. */
export interface KvOperation {
  readonly operation: "get" | "getMany" | "list" | "commit";
  readonly ms: number;
  /** Whether there was an answer; a check that failed is one. */
  readonly ok: boolean;
}

/** What {@link watchKv} may be told. */
export interface KvWatch {
  /** Told of each operation when it has ended. */
  readonly onOperation?: (operation: KvOperation) => void;
  /** The address of the server that is asked; by default there is none, but a file. */
  readonly server?: string;
  /** Milliseconds after which an operation of a server is given up, with a `RemoteError`; default 30,000. */
  readonly timeoutMs?: number;
}

/** The same database, watched. Of what cannot reach the server, or is refused there, a `RemoteError` is made. */
export function watchKv(kv: KvLike, watch: KvWatch): KvLike {
  return new WatchedKv(kv, watch);
}

class WatchedKv implements KvLike {
  #kv: KvLike;
  #watch: KvWatch;
  /** Operations that were given up and have not ended. */
  #lost = 0;

  constructor(kv: KvLike, watch: KvWatch) {
    this.#kv = kv;
    this.#watch = watch;
  }

  get<T>(...args: Parameters<KvLike["get"]>): Promise<Deno.KvEntryMaybe<T>> {
    return this.#run("get", () => this.#kv.get<T>(...args));
  }

  // deno-lint-ignore no-explicit-any -- as the platform types it
  getMany<T extends readonly any[]>(...args: Parameters<Deno.Kv["getMany"]>) {
    return this.#run("getMany", () => (this.#kv as Deno.Kv).getMany<T>(args[0] as never, args[1]));
  }

  list<T>(...args: Parameters<KvLike["list"]>): Deno.KvListIterator<T> {
    const entries = this.#kv.list<T>(...args);
    const next = entries.next.bind(entries);
    const batch = args[1]?.batchSize ?? Math.min(args[1]?.limit ?? BATCH, BATCH);
    let given = 0;
    entries.next = () => given++ % batch === 0 ? this.#run("list", next) : next();
    return entries;
  }

  atomic(): Deno.AtomicOperation {
    const atomic = this.#kv.atomic();
    const commit = atomic.commit.bind(atomic);
    atomic.commit = () => this.#run("commit", commit);
    return atomic;
  }

  async #run<T>(operation: KvOperation["operation"], ask: () => Promise<T>): Promise<T> {
    const { onOperation } = this.#watch;
    const begun = performance.now();
    let ok = false;
    try {
      const answer = await (this.#watch.server === undefined ? ask() : this.#askServer(ask));
      ok = true;
      return answer;
    } finally {
      onOperation?.({ operation, ms: performance.now() - begun, ok });
    }
  }

  async #askServer<T>(ask: () => Promise<T>): Promise<T> {
    const { server = "", timeoutMs = TIMEOUT_MS } = this.#watch;
    if (this.#lost >= MOST_LOST) throw silent(server);
    const asked = ask();
    const givenUp = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      this.#lost++;
      const ended = () => void this.#lost--;
      asked.then(ended, ended);
      givenUp.reject(silent(server));
    }, timeoutMs);
    try {
      return await Promise.race([asked, givenUp.promise]);
    } catch (error) {
      // The platform has no class for it. Anything else is a fault of the question.
      if (!(error instanceof TypeError) || !error.message.includes("KV Connect")) throw error;
      throw new RemoteError(server, `Cannot use the store ${server}: ${error.message}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

function silent(server: string): RemoteError {
  return new RemoteError(server, `Cannot reach the store ${server}: it does not answer`);
}
