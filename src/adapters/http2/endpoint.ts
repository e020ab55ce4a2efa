/**
 * One end of a connection: its streams, what goes in and out on them, how long it waits, and how it ends. What frames mean is
 * known in `connection.ts`.
 */
import { Closing } from "./closing.ts";
import type { Duplex } from "./duplex.ts";
import { TokenBucket } from "./floods.ts";
import { encodeReset } from "./frames.ts";
import type { HeldBytes } from "./held_bytes.ts";
import { codeName, ErrorCode, Http2Error, StreamFault } from "./http2_error.ts";
import { Inflow } from "./inflow.ts";
import type { Http2Options } from "./options.ts";
import { Outbox, type OutboxOwner } from "./outbox.ts";
import { Outflow } from "./outflow.ts";
import type { Member, Rounds } from "./rounds.ts";
import { Stream, type StreamOwner } from "./stream.ts";
import { type HowClosed, StreamTable } from "./stream_table.ts";
import { ReceiveWindow } from "./window.ts";

/** Idle frames that a frame of DATA makes rightful: updates of both windows, a PING that measures, and one more. */
const EARNED = 4;

/** What connections share. */
export interface Shared {
  readonly options: Http2Options;
  readonly rounds: Rounds;
  readonly held: HeldBytes;
}

export abstract class Endpoint implements OutboxOwner, StreamOwner, Member {
  protected readonly options: Http2Options;
  protected readonly streams = new StreamTable();
  protected readonly outbox: Outbox;
  protected readonly closing: Closing;
  protected readonly inflow: Inflow;
  protected readonly outflow: Outflow;
  /** The highest stream the peer has opened. */
  protected lastPeerStream = 0;
  /** When the peer last sent something, as `performance.now()`. */
  protected heardAt = performance.now();
  /** That, or when the last round was: what time it is, nearly. */
  protected now = this.heardAt;
  /** Since when there is no stream. */
  protected quietSince = this.now;
  /** Whether the peer is not read from, for too much that it sent was not consumed. */
  protected paused = false;
  readonly #resets: TokenBucket;
  readonly #idleFrames: TokenBucket;

  constructor(duplex: Duplex, protected readonly shared: Shared) {
    const options = this.options = shared.options;
    this.outbox = new Outbox(duplex, this);
    this.closing = new Closing(duplex, this.outbox, options.closeMs);
    this.inflow = new Inflow(this.outbox, options.connectionWindow, shared.held);
    this.outflow = new Outflow(
      this.outbox,
      (stream) => this.localEnd(stream),
      (stream) => this.#movedOut(stream),
    );
    this.#resets = new TokenBucket(options.resetBurst, options.resetsPerSecond);
    this.#idleFrames = new TokenBucket(options.idleFrameBurst, options.idleFramesPerSecond);
  }

  /** Everything that was sent on a stream is in the outbox. */
  protected abstract localEnd(stream: Stream): void;
  /** Streams have ended, or more of them are allowed. */
  protected changed(): void {
    if (this.closing.decided && this.streams.size === 0) this.closing.end();
  }

  /** How many streams are open. */
  get streamCount(): number {
    return this.streams.size;
  }

  /** Lets streams end, and then the connection. */
  shutdown(): void {
    this.closing.announce(this.now);
  }

  /** Ends the connection now. */
  destroy(code: number, text: string): void {
    this.closing.end({ lastStreamId: this.lastPeerStream, code, text });
    this.failAll(`${text} (${codeName(code)})`);
  }

  ready(stream: Stream): void {
    this.outflow.ready(stream);
  }

  consumed(stream: Stream, bytes: number): void {
    this.inflow.consumed(stream, bytes);
  }

  /** Opens a stream. */
  protected open(id: number): Stream {
    const stream = new Stream(
      id,
      this,
      this.outflow.newWindow(),
      new ReceiveWindow(this.options.streamWindow),
      this.now,
    );
    this.streams.add(stream);
    return stream;
  }

  /** Ends a stream before its time and tells the peer. */
  reset(stream: Stream, error: Http2Error): void {
    if (this.streams.get(stream.id) !== stream) return;
    this.outbox.control(encodeReset(stream.id, error.code));
    this.close(stream, "reset here", error);
  }

  protected close(stream: Stream, how: HowClosed, error?: Http2Error): void {
    this.streams.close(stream.id, how);
    stream.closed();
    if (error) stream.fail(error);
    if (this.streams.size === 0) this.quietSince = this.now;
    this.changed();
  }

  /** The peer has sent all of a stream. Throws {@link StreamFault} if that is less than it said. */
  protected remoteEnd(stream: Stream): void {
    if (stream.expected !== undefined && stream.expected !== 0) {
      throw new StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "a body shorter than content-length");
    }
    stream.remoteEnded = true;
    stream.body.end();
    if (stream.localEnded) this.close(stream, "ended");
  }

  hasRoom(): void {
    this.outflow.run();
  }

  broken(): void {
    this.closing.close();
  }

  tick(now: number): void {
    this.now = now;
    if (this.over) return;
    const { idleMs, stallMs } = this.options;
    const stuck = this.outbox.stuckSince;
    if (stuck !== undefined && now - stuck > stallMs) return this.closing.close();
    for (const stream of [...this.streams]) {
      if (!stream.waitsForPeer || this.paused) stream.movedAt = now;
      else if (now - stream.movedAt > stallMs) {
        const why = `Cannot finish HTTP/2 stream ${stream.id}: the peer neither sends nor reads`;
        this.reset(stream, new Http2Error(ErrorCode.CANCEL, why));
      }
    }
    if (this.closing.isKnown(now)) this.decideEnd();
    if (this.streams.size === 0 && now - this.quietSince > idleMs) this.shutdown();
  }

  /** Whether the connection has ended here. */
  get over(): boolean {
    return this.closing.over;
  }

  /** The peer knows of the end: no new streams. */
  protected decideEnd(): void {
    this.closing.decide(this.lastPeerStream);
    this.changed();
  }

  /** Counts a stream that the peer made useless. */
  protected countReset(): void {
    if (this.#resets.take(this.now)) return;
    this.destroy(ErrorCode.ENHANCE_YOUR_CALM, "too many streams were reset");
  }

  /** Counts a frame that moves nothing on. */
  protected countIdle(): void {
    if (this.#idleFrames.take(this.now)) return;
    this.destroy(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that move nothing on");
  }

  #movedOut(stream: Stream): void {
    stream.movedAt = this.now;
    this.earn();
  }

  /** DATA has moved: frames that go with that are rightful. */
  protected earn(): void {
    this.#idleFrames.give(EARNED);
  }

  protected failAll(why: string, cause?: unknown): void {
    for (const stream of [...this.streams]) {
      this.close(
        stream,
        "ended",
        new Http2Error(ErrorCode.CANCEL, `Cannot finish HTTP/2 stream ${stream.id}: ${why}`, { cause }),
      );
    }
  }
}
