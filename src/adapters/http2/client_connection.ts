/** The client's side of a connection: requests that go out, and the responses to them. */
import { type Bytes, EMPTY } from "../../bytes/bytes.ts";
import { Connection } from "./connection.ts";
import type { Duplex } from "./duplex.ts";
import type { Shared } from "./endpoint.ts";
import { readResponse, readTrailers, requestFields, wellFormed } from "./fields.ts";
import { encodePing, MAX_31_BITS } from "./frames.ts";
import type { HeaderField } from "./hpack_tables.ts";
import { codeName, ConnectionFault, ErrorCode, Http2Error, StreamFault } from "./http2_error.ts";
import { sendBody } from "./outgoing_body.ts";
import type { Stream } from "./stream.ts";
import type { HowClosed } from "./stream_table.ts";

export interface Http2ClientRequest {
  /** Absolute. */
  readonly url: string;
  readonly method: string;
  readonly header: Headers;
  /** Asked for a piece when the one before is on its way; it must not change until then. */
  readonly body?: AsyncIterable<Uint8Array>;
  /** Resets the stream. */
  readonly signal?: AbortSignal;
}

export interface Http2ClientResponse {
  readonly status: number;
  readonly header: Headers;
  /** Can be iterated over once; leaving it early resets the stream. Throws {@link Http2Error}. */
  readonly body: AsyncIterable<Bytes>;
  /** Filled when the body has ended. */
  readonly trailer: Headers;
}

/** What keepalive PINGs carry. */
const ALIVE: Bytes = new Uint8Array(8);

/** A request that was sent, until its stream is closed. */
interface Exchange {
  readonly method: string;
  readonly answered: PromiseWithResolvers<Http2ClientResponse>;
  readonly trailer: Headers;
}

export class ClientConnection extends Connection {
  protected readonly isServer = false;
  #exchanges = new Map<number, Exchange>();
  #nextId = 1;
  #leaving = false;
  #waiting: (() => void)[] = [];
  #askedAt: number | undefined;

  constructor(duplex: Duplex, shared: Shared) {
    super(duplex, shared, EMPTY);
  }

  /** Whether it takes new requests. */
  get usable(): boolean {
    return !this.#leaving && !this.over && this.#nextId <= MAX_31_BITS;
  }

  /** A promise to wait for before the next request, which rejects as the signal says; nothing if the peer takes one now. */
  slot(signal?: AbortSignal): Promise<void> | undefined {
    if (this.streams.size < this.outflow.maxStreams || !this.usable) return undefined;
    return new Promise((resolve, reject) => {
      const wake = () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      const abort = () => {
        this.#waiting = this.#waiting.filter((each) => each !== wake);
        reject(signal!.reason);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.push(wake);
    });
  }

  /** Sends a request; there must be a slot. Throws the reason of its signal, and `TypeError` for a URL that is none. */
  request(request: Http2ClientRequest): Promise<Http2ClientResponse> {
    try {
      request.signal?.throwIfAborted();
      return this.#request(request, requestFields(request.method, request.url, request.header));
    } catch (error) {
      this.changed(); // the slot is for the next one
      throw error;
    }
  }

  #request(
    { method, body, signal }: Http2ClientRequest,
    fields: readonly HeaderField[],
  ): Promise<Http2ClientResponse> {
    const stream = this.open(this.#nextId);
    this.#nextId += 2;
    const answered = Promise.withResolvers<Http2ClientResponse>();
    this.#exchanges.set(stream.id, { method, answered, trailer: new Headers() });
    const abort = () => this.reset(stream, cancelled("the caller aborted it", signal!.reason));
    signal?.addEventListener("abort", abort, { once: true });
    stream.onClosed(() => signal?.removeEventListener("abort", abort));
    stream.onFailure((error) => answered.reject(error));
    stream.body.onLeave = () => this.reset(stream, cancelled("the caller left its response"));
    stream.sendHead(fields, body === undefined);
    if (body) void this.#send(stream, body);
    return answered.promise;
  }

  override shutdown(): void {
    this.#leaving = true;
    this.changed();
  }

  override tick(now: number): void {
    super.tick(now);
    const { keepaliveMs, keepaliveTimeoutMs } = this.options;
    if (keepaliveMs === 0 || this.over || this.streams.size === 0) return;
    if (this.#askedAt !== undefined && this.heardAt >= this.#askedAt) this.#askedAt = undefined;
    if (this.#askedAt === undefined) {
      if (now - this.heardAt < keepaliveMs) return;
      this.#askedAt = now;
      this.outbox.control(encodePing(ALIVE, false));
    } else if (now - this.#askedAt > keepaliveTimeoutMs) {
      this.destroy(ErrorCode.NO_ERROR, "the peer does not answer");
    }
  }

  protected override isIdle(id: number): boolean {
    return id % 2 === 0 || id >= this.#nextId;
  }

  protected override opened(id: number): void {
    throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, `HEADERS of stream ${id}, which is not open`);
  }

  protected override headed(stream: Stream, fields: readonly HeaderField[] | undefined, end: boolean): void {
    if (!fields) throw new StreamFault(stream.id, ErrorCode.ENHANCE_YOUR_CALM, "headers that are too large");
    const { method, answered, trailer } = this.#exchanges.get(stream.id)!;
    if (stream.headed) {
      if (!end) throw new StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "trailers that do not end it");
      for (const [name, value] of wellFormed(stream.id, () => readTrailers(fields))) {
        trailer.append(name, value);
      }
    } else {
      const { status, header, contentLength } = wellFormed(stream.id, () => readResponse(fields));
      if (status < 200) {
        if (end) throw new StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "an end before its response");
        return;
      }
      stream.headed = true;
      if (method !== "HEAD" && status !== 204 && status !== 304) stream.expected = contentLength;
      answered.resolve({ status, header, body: stream.body, trailer });
    }
    if (end) this.remoteEnd(stream);
  }

  protected override goingAway(lastStreamId: number, code: number): void {
    this.#leaving = true;
    for (const stream of [...this.streams]) {
      if (stream.id <= lastStreamId) continue;
      const why = `Cannot send HTTP/2 request: the peer is going away (${codeName(code)})`;
      this.close(stream, "reset by peer", new Http2Error(code, why, { retryable: true }));
    }
    this.changed();
  }

  protected override localEnd(stream: Stream): void {
    stream.localEnded = true;
    if (stream.remoteEnded) this.close(stream, "ended");
  }

  protected override close(stream: Stream, how: HowClosed, error?: Http2Error): void {
    this.#exchanges.delete(stream.id);
    super.close(stream, how, error);
  }

  protected override changed(): void {
    if (!this.usable && this.streams.size === 0) {
      this.closing.end({ lastStreamId: 0, code: ErrorCode.NO_ERROR, text: "" });
    }
    const free = this.usable ? this.outflow.maxStreams - this.streams.size : this.#waiting.length;
    for (const wake of this.#waiting.splice(0, Math.max(0, free))) wake();
  }

  async #send(stream: Stream, body: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      await sendBody(stream, body);
      stream.sendEnd();
    } catch (error) {
      // Where the stream failed the caller knows from the response.
      if (!stream.failure) this.reset(stream, cancelled("its body failed", error));
    }
  }
}

function cancelled(why: string, cause?: unknown): Http2Error {
  return new Http2Error(ErrorCode.CANCEL, `Cannot finish HTTP/2 request: ${why}`, { cause });
}
