/** One exchange of a connection (RFC 9113, section 5): what it has received, and what it has to send. */
import type { HeaderField } from "./hpack_tables.ts";
import { Http2Error } from "./http2_error.ts";
import { IncomingBody } from "./incoming_body.ts";
import { ReceiveWindow, SendWindow } from "./window.ts";

/** What is to be sent on a stream, in order. */
export type Outgoing =
  | { readonly kind: "head"; readonly fields: readonly HeaderField[]; readonly end: boolean }
  | { readonly kind: "data"; readonly bytes: Uint8Array; at: number; taken?: PromiseWithResolvers<void> }
  | { readonly kind: "end" };

/** Why a stream with something to send does not: it does; it waits for its turn, for its window, for the connection's. */
export type Sending = "nothing" | "turn" | "window" | "connection";

/** The connection, as a stream sees it. */
export interface StreamOwner {
  /** Bytes of a body were taken by who reads it, or dropped. */
  consumed(stream: Stream, bytes: number): void;
  /** There is something new to send. */
  ready(stream: Stream): void;
}

export class Stream {
  readonly body: IncomingBody;
  readonly queue: Outgoing[] = [];
  sending: Sending = "nothing";
  /** Whether its head has come. */
  headed = false;
  /** END_STREAM was sent; was received. */
  localEnded = false;
  remoteEnded = false;
  /** Bytes of the body that must still come, if `content-length` was given. */
  expected: number | undefined;
  /** When the peer last sent or took something, as `performance.now()`. */
  movedAt: number;
  #failure: Http2Error | undefined;
  #onFailure: ((error: Http2Error) => void)[] = [];
  #onClosed: () => void = () => {};

  constructor(
    readonly id: number,
    readonly owner: StreamOwner,
    readonly sendWindow: SendWindow,
    readonly receiveWindow: ReceiveWindow,
    now: number,
  ) {
    this.movedAt = now;
    this.body = new IncomingBody((bytes) => owner.consumed(this, bytes));
  }

  /** Why the stream ended before its time. */
  get failure(): Http2Error | undefined {
    return this.#failure;
  }

  /** Whether it goes on only when the peer sends or reads. */
  get waitsForPeer(): boolean {
    if (this.localEnded && !this.headed) return true;
    return this.body.awaited || this.sending === "window" || this.sending === "connection";
  }

  /** Calls back once when the stream fails; at once if it has. */
  onFailure(call: (error: Http2Error) => void): void {
    if (this.#failure) call(this.#failure);
    else this.#onFailure.push(call);
  }

  /** Calls back when the connection forgets the stream, whatever became of it. */
  onClosed(call: () => void): void {
    this.#onClosed = call;
  }

  /** The connection forgets it. */
  closed(): void {
    this.#onClosed();
  }

  /** Sends a header list: a head, or trailers. Throws what the stream failed with. */
  sendHead(fields: readonly HeaderField[], end: boolean): void {
    this.#send({ kind: "head", fields, end });
  }

  /**
   * Sends a piece of the body; it must not change until it is on its way. Returns nothing when it is, else a promise to
   * wait for. Throws, or rejects with, what the stream failed with.
   */
  sendData(bytes: Uint8Array): Promise<void> | undefined {
    const item: Outgoing = { kind: "data", bytes, at: 0 };
    this.#send(item);
    if (this.queue.length === 0) return undefined;
    item.taken = Promise.withResolvers();
    return item.taken.promise;
  }

  /** Ends what is sent, without trailers. Throws what the stream failed with. */
  sendEnd(): void {
    this.#send({ kind: "end" });
  }

  /** Ends the stream before its time: nothing more is sent, and who reads gets the error. */
  fail(error: Http2Error): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const item of this.queue) if (item.kind === "data") item.taken?.reject(error);
    this.queue.length = 0;
    this.body.fail(error);
    for (const call of this.#onFailure) call(error);
  }

  #send(item: Outgoing): void {
    if (this.#failure) throw this.#failure;
    this.queue.push(item);
    this.owner.ready(this);
  }
}
