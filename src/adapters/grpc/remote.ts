/**
 * Calling a remote: how many calls and bytes are under way at once, which era is spoken, what is tried again, and what a
 * call that failed ends in.
 *
 * Calls that end by themselves are counted and wait for a turn. Calls whose pace is that of the caller (a blob that is
 * streamed up, a closure being read) are not: their number is the caller's, and if they took turns, callers
 * that hold one while they wait for another could wait for each other for ever.
 */
import type { Transport } from "@connectrpc/connect";
import { Budget } from "../../bytes/budget.ts";
import type { FrameDecoder } from "../../castore/stored_form.ts";
import { RemoteError } from "../../errors.ts";
import { Call } from "./call.ts";
import { type Clients, clientsOver, type Era } from "./clients.ts";
import { errorOf, isAnswer, isPassing, isUnimplemented, type Subject } from "./remote_errors.ts";

/** Most time between two tries, in milliseconds. */
const MAX_BACKOFF_MS = 5_000;

export interface RemoteOptions {
  /** The remote as its user names it, for messages; default `the remote store`. */
  readonly address?: string;
  /** Which services to speak to; default: those of snix, or if there are none, of tvix. */
  readonly era?: Era;
  /** Most bytes of blobs and Directories on their way to the remote at once; default 32 MiB. */
  readonly maxBytesInFlight?: number;
  /** Most calls under way at once, besides those that last as long as the caller likes; default 128. */
  readonly maxCalls?: number;
  /** How often a call is tried again that found the remote unavailable; default 3. */
  readonly retries?: number;
  /** Most time before the first new try, in milliseconds, doubled for each further one; default 200. */
  readonly backoffMs?: number;
  /** Decompresses zstd frames: given it, blobs are asked for as the server has them compressed; default: for plain bytes. */
  readonly decoder?: FrameDecoder;
  /** How long the remote may do nothing when it is its turn, in milliseconds; default 60,000. */
  readonly stallMs?: number;
}

/** One try of a call. */
export type Attempt<T> = (clients: Clients, call: Call) => Promise<T>;

export class Remote {
  readonly address: string;
  /** Bytes on their way to the remote. */
  readonly bytes: Budget;
  #clients: Readonly<Record<Era, Clients>>;
  #era: Era | undefined;
  #turns: Budget;
  #retries: number;
  #backoffMs: number;
  #stallMs: number;

  constructor(transport: Transport, options: RemoteOptions) {
    this.address = options.address ?? "the remote store";
    this.bytes = new Budget(options.maxBytesInFlight ?? 32 * 1024 * 1024);
    this.#clients = clientsOver(transport);
    this.#era = options.era;
    this.#turns = new Budget(options.maxCalls ?? 128);
    this.#retries = options.retries ?? 3;
    this.#backoffMs = options.backoffMs ?? 200;
    this.#stallMs = options.stallMs ?? 60_000;
  }

  /**
   * A call that ends by itself, tried again where that may help. Throws errors of the error tree, and whatever else
   * the attempt throws.
   */
  async call<T>(subject: Subject, attempt: Attempt<T>): Promise<T> {
    return await this.#repeated(subject, async () => {
      await this.#turns.take(1);
      try {
        return await this.#inEra(attempt);
      } finally {
        this.#turns.give(1);
      }
    });
  }

  /**
   * A call at the pace of what it sends, which can be sent only once. The era must be known, see {@link settleEra}.
   * Throws as {@link call}.
   */
  async send<T>(subject: Subject, attempt: Attempt<T>): Promise<T> {
    try {
      return await this.#attempt(this.#era ?? "snix", attempt);
    } catch (error) {
      throw errorOf(error, subject, this.address);
    }
  }

  /** Messages of a call at the pace of who reads them. Tried again as long as none was given. Throws as {@link call}. */
  async *receive<T>(
    subject: Subject,
    start: (clients: Clients, options: { signal: AbortSignal }) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, void> {
    const { call, messages, first } = await this.#repeated(subject, () => {
      return this.#inEra(async (clients, call) => {
        const messages = start(clients, call)[Symbol.asyncIterator]();
        const first = await messages.next();
        return { call: call.keep(), messages, first };
      });
    });
    try {
      for (let message = first; !message.done;) {
        call.pause();
        yield message.value;
        call.progress();
        message = await messages.next();
      }
    } catch (error) {
      throw errorOf(this.#explained(error, call), subject, this.address);
    } finally {
      call.end();
    }
  }

  /**
   * Finds out which era is spoken, for a call that cannot be tried twice, by asking for something of the same service;
   * what the answer is does not matter.
   */
  async settleEra(subject: Subject, ask: Attempt<unknown>): Promise<void> {
    if (this.#era) return;
    await this.call(subject, async (clients, call) => {
      await ask(clients, call).catch((error) => {
        if (!isAnswer(error)) throw error;
      });
    });
  }

  /**
   * The messages to be sent, given to the transport one by one as it asks for them, each within the bytes that may be
   * in flight. The remote's time runs while the transport has one.
   */
  async *paced<T>(
    call: Call,
    messages: AsyncIterable<T>,
    sizeOf: (message: T) => number,
  ): AsyncGenerator<T, void, void> {
    call.pause();
    for await (const message of messages) {
      const size = sizeOf(message);
      await this.bytes.take(size);
      try {
        call.progress();
        yield message;
        call.pause();
      } finally {
        this.bytes.give(size);
      }
    }
    call.progress();
  }

  /** Tries again where that may help. */
  async #repeated<T>(subject: Subject, attempt: () => Promise<T>): Promise<T> {
    for (let tries = 0;; tries++) {
      try {
        return await attempt();
      } catch (error) {
        if (tries >= this.#retries || !isPassing(error)) throw errorOf(error, subject, this.address);
      }
      await this.#backoff(tries);
    }
  }

  /** An attempt in the era that is spoken; where that is not known yet, in one after the other. */
  async #inEra<T>(attempt: Attempt<T>): Promise<T> {
    const era = this.#era ?? "snix";
    try {
      const result = await this.#attempt(era, attempt);
      this.#era ??= era;
      return result;
    } catch (error) {
      if (era === this.#era || !isUnimplemented(error)) {
        if (isAnswer(error)) this.#era ??= era;
        throw error;
      }
    }
    try {
      const result = await this.#attempt("tvix", attempt);
      this.#era ??= "tvix";
      return result;
    } catch (error) {
      if (isAnswer(error)) this.#era ??= "tvix";
      throw error;
    }
  }

  async #attempt<T>(era: Era, attempt: Attempt<T>): Promise<T> {
    const call = new Call(this.#stallMs);
    try {
      const result = await attempt(this.#clients[era], call);
      if (!call.kept) call.end();
      return result;
    } catch (error) {
      call.end();
      throw this.#explained(error, call);
    }
  }

  #explained(error: unknown, call: Call): unknown {
    if (!call.stalled) return error;
    return new RemoteError(
      this.address,
      `Cannot go on: ${this.address} has done nothing for ${this.#stallMs} ms`,
      { cause: error },
    );
  }

  /** Waits before the next try: a random time, so that many callers do not come back at once. */
  #backoff(tries: number): Promise<void> {
    const most = Math.min(MAX_BACKOFF_MS, this.#backoffMs * 2 ** tries);
    return new Promise((resolve) => setTimeout(resolve, Math.random() * most));
  }
}
