/** The server's side of a connection: requests that come in, and what a handler makes of them. */
import type { Bytes } from "../../bytes/bytes.ts";
import { Connection } from "./connection.ts";
import type { Duplex } from "./duplex.ts";
import type { Shared } from "./endpoint.ts";
import { readRequest, readTrailers, responseFields, trailerFields, wellFormed } from "./fields.ts";
import { encodeReset, PREFACE } from "./frames.ts";
import type { HeaderField } from "./hpack_tables.ts";
import { ConnectionFault, ErrorCode, Http2Error, StreamFault } from "./http2_error.ts";
import { sendBody } from "./outgoing_body.ts";
import type { Stream } from "./stream.ts";

/** A request. Its body can be iterated over once; pieces belong to who does. */
export interface Http2Request {
  readonly httpVersion: "2";
  /** Who sent it, as its {@link Duplex} tells. */
  readonly address?: string;
  readonly method: string;
  /** Absolute. */
  readonly url: string;
  readonly header: Headers;
  /** Throws an {@link Http2Error} when the peer resets the stream or the connection ends. */
  readonly body: AsyncIterable<Bytes>;
  /** Aborted when the peer resets the stream, or the connection ends, before the response was sent. */
  readonly signal: AbortSignal;
}

export interface Http2Response {
  /** 200 to 999. */
  readonly status: number;
  readonly header?: Headers;
  /** Asked for a piece when the one before is on its way; it must not change until then. */
  readonly body?: AsyncIterable<Uint8Array>;
  /** Read when the body has ended. */
  readonly trailer?: Headers;
}

/** Answers requests. What it throws is answered with status 500, or by resetting the stream. */
export type Http2Handler = (request: Http2Request) => Promise<Http2Response>;

/** How many handlers may run for each stream that may be open: those of reset streams go on until they notice. */
const HANDLERS_A_STREAM = 2;

export class ServerConnection extends Connection {
  protected readonly isServer = true;
  #handler: Http2Handler;
  /** Requests of this read. They start when it is cut up: what is reset until then never does. */
  #new: { stream: Stream; request: Http2Request }[] = [];
  #running = 0;
  #address: string | undefined;

  constructor(duplex: Duplex, handler: Http2Handler, shared: Shared) {
    super(duplex, shared, PREFACE);
    this.#address = duplex.address;
    this.#handler = handler;
  }

  override readEnds(): void {
    super.readEnds();
    const begun = this.#new;
    if (begun.length === 0) return;
    this.#new = [];
    for (const { stream, request } of begun) {
      if (stream.failure) stream.body.discard();
      else void this.#answer(stream, request);
    }
  }

  protected override isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.lastPeerStream;
  }

  protected override goingAway(): void {
    // The client opens no more streams, which needs no answer.
  }

  protected override opened(id: number, fields: readonly HeaderField[] | undefined, end: boolean): void {
    if (id % 2 === 0 || id <= this.lastPeerStream) {
      throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, `HEADERS of stream ${id} out of order`);
    }
    this.lastPeerStream = id;
    const { maxConcurrentStreams } = this.options;
    if (
      this.streams.size >= maxConcurrentStreams || this.#running >= HANDLERS_A_STREAM * maxConcurrentStreams
    ) {
      throw new StreamFault(id, ErrorCode.REFUSED_STREAM, "too many streams");
    }
    const stream = this.open(id);
    stream.headed = true;
    if (!fields) {
      if (end) this.remoteEnd(stream);
      stream.sendHead([[":status", "431"]], true);
    } else this.#begin(stream, fields, end);
  }

  #begin(stream: Stream, fields: readonly HeaderField[], end: boolean): void {
    const { method, url, header, contentLength } = wellFormed(stream.id, () => readRequest(fields));
    stream.expected = contentLength;
    const controller = new AbortController();
    stream.onFailure((error) => controller.abort(error));
    const { signal } = controller;
    const address = this.#address;
    const request: Http2Request = {
      httpVersion: "2",
      address,
      method,
      url,
      header,
      body: stream.body,
      signal,
    };
    this.#new.push({ stream, request });
    if (end) this.remoteEnd(stream);
  }

  /** Trailers of a request: checked, and not handed on, for nothing looks at them. */
  protected override headed(stream: Stream, fields: readonly HeaderField[] | undefined, end: boolean): void {
    if (!fields) throw new StreamFault(stream.id, ErrorCode.ENHANCE_YOUR_CALM, "trailers that are too large");
    if (!end) throw new StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "trailers that do not end it");
    wellFormed(stream.id, () => readTrailers(fields));
    this.remoteEnd(stream);
  }

  protected override localEnd(stream: Stream): void {
    stream.localEnded = true;
    if (stream.remoteEnded) return this.close(stream, "ended");
    stream.body.discard();
    this.outbox.control(encodeReset(stream.id, ErrorCode.NO_ERROR));
    this.close(stream, "reset here");
  }

  async #answer(stream: Stream, request: Http2Request): Promise<void> {
    this.#running++;
    try {
      await this.#respond(stream, request, await this.#handle(request));
    } catch (error) {
      // A stream that failed takes its handler along: nothing to tell.
      if (!stream.failure) {
        this.#tell(request, error);
        this.reset(stream, new Http2Error(ErrorCode.INTERNAL_ERROR, "Cannot finish the response"));
      }
    }
    stream.body.discard();
    this.#running--;
  }

  async #handle(request: Http2Request): Promise<Http2Response> {
    try {
      return await this.#handler(request);
    } catch (error) {
      if (!request.signal.aborted) this.#tell(request, error);
      return { status: 500 };
    }
  }

  async #respond(stream: Stream, request: Http2Request, response: Http2Response): Promise<void> {
    const { body } = response;
    if (stream.failure || !body || request.method === "HEAD") {
      await body?.[Symbol.asyncIterator]().return?.();
      if (stream.failure) return;
    }
    const head = responseFields(response.status, response.header);
    if (body && request.method !== "HEAD") {
      stream.sendHead(head, false);
      await sendBody(stream, body);
      this.#end(stream, trailerFields(response.trailer));
    } else {
      const trailers = trailerFields(response.trailer);
      stream.sendHead(head, trailers.length === 0);
      if (trailers.length > 0) this.#end(stream, trailers);
    }
  }

  #end(stream: Stream, trailers: readonly HeaderField[]): void {
    if (trailers.length > 0) stream.sendHead(trailers, true);
    else stream.sendEnd();
  }

  #tell({ method, url }: Http2Request, error: unknown): void {
    this.options.log(`Cannot answer ${method} ${url}: ${error instanceof Error ? error.stack : error}`);
  }
}
