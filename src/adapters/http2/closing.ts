/**
 * How a connection ends. With grace: GOAWAY that lets everything go on, then, when the peer has surely seen it, GOAWAY with
 * the last stream that is served (RFC 9113, section 6.8), and the end when no stream is left. Or at once: GOAWAY with the
 * reason. What is queued is written first, if the peer takes it in time.
 */
import { type Bytes, equals, fromText } from "../../bytes/bytes.ts";
import type { Duplex } from "./duplex.ts";
import { encodeGoAway, encodePing, MAX_31_BITS } from "./frames.ts";
import { ErrorCode } from "./http2_error.ts";
import type { Outbox } from "./outbox.ts";

/** The PING between the two GOAWAYs. */
const MARK: Bytes = fromText("farewell");
/** Milliseconds for the peer to read what it was told and close: unread bytes would destroy that on its way. */
const LINGER_MS = 250;

export class Closing {
  /** The last stream of the peer that is served: those above are ignored. */
  lastServed = MAX_31_BITS;
  #announcedAt: number | undefined;
  #over = false;
  #closed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param closeMs milliseconds for what is queued to be written, and to wait for the answer to a PING */
  constructor(readonly duplex: Duplex, readonly outbox: Outbox, readonly closeMs: number) {}

  /** Whether a graceful end has begun. */
  get begun(): boolean {
    return this.#announcedAt !== undefined;
  }

  /** Whether nothing that comes is looked at any more. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether no new stream is served, so that the connection may end when there is none. */
  get decided(): boolean {
    return this.lastServed !== MAX_31_BITS;
  }

  /** Begins a graceful end. */
  announce(now: number): void {
    if (this.begun || this.#over) return;
    this.#announcedAt = now;
    this.outbox.control(encodeGoAway(MAX_31_BITS, ErrorCode.NO_ERROR, ""));
    this.outbox.control(encodePing(MARK, false));
  }

  /** Whether the answer to a PING, or the time that has passed, says that the peer knows of the end. */
  isKnown(now: number, answer?: Bytes): boolean {
    if (this.#announcedAt === undefined || this.decided) return false;
    return (answer !== undefined && equals(answer, MARK)) || now - this.#announcedAt > this.closeMs;
  }

  /** Decides which stream is the last. */
  decide(lastStreamId: number): void {
    this.lastServed = lastStreamId;
    this.outbox.control(encodeGoAway(lastStreamId, ErrorCode.NO_ERROR, ""));
  }

  /** Ends the connection: with a reason, or because nothing is left to do. */
  end(reason?: { lastStreamId: number; code: number; text: string }): void {
    if (this.#over) return;
    this.#over = true;
    if (reason) this.outbox.control(encodeGoAway(reason.lastStreamId, reason.code, reason.text));
    this.#closeAfter(this.closeMs);
    void Promise.resolve(this.outbox.drained()).then(() => {
      if (this.#timer !== undefined) this.#closeAfter(Math.min(LINGER_MS, this.closeMs));
    });
  }

  /** Closes now. */
  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#closed) return;
    this.#closed = true;
    this.duplex.close();
  }

  #closeAfter(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), ms);
  }
}
