/**
 * A connection of HTTP/2 (RFC 9113), whichever side of it: what frames mean, and which may not come. What headers mean is for
 * the side to say: `server_connection.ts`, `client_connection.ts`.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import type { Duplex } from "./duplex.ts";
import { Endpoint, type Shared } from "./endpoint.ts";
import { FrameReader, type FrameSink } from "./frame_reader.ts";
import { encodePing, encodeReset, Flag, FrameType, read31, read32 } from "./frames.ts";
import { checkDependency, HeaderBlocks, type HeaderList } from "./header_blocks.ts";
import type { HeaderField } from "./hpack_tables.ts";
import { codeName, ConnectionFault, ErrorCode, Http2Error, StreamFault } from "./http2_error.ts";
import { greeting, SETTINGS_ACK } from "./settings.ts";
import type { Stream } from "./stream.ts";

export abstract class Connection extends Endpoint implements FrameSink {
  readonly #reader: FrameReader;
  readonly #blocks: HeaderBlocks;
  #greeted = false;
  #resume: () => void = () => {};

  /** @param preface what the peer must send before its first frame */
  constructor(duplex: Duplex, shared: Shared, preface: Bytes) {
    super(duplex, shared);
    this.#reader = new FrameReader(duplex, this, this.options, preface);
    this.#blocks = new HeaderBlocks(this.options);
  }

  protected abstract readonly isServer: boolean;
  /** A header list on a stream that is not open, and was not; nothing where the list was too large. */
  protected abstract opened(id: number, fields: readonly HeaderField[] | undefined, end: boolean): void;
  /** A header list on an open stream. */
  protected abstract headed(stream: Stream, fields: readonly HeaderField[] | undefined, end: boolean): void;
  /** Whether a stream was never used. */
  protected abstract isIdle(id: number): boolean;
  /** GOAWAY of the peer. */
  protected abstract goingAway(lastStreamId: number, code: number): void;

  /** Runs the connection until it is closed. Never rejects. */
  async run(): Promise<void> {
    this.shared.rounds.add(this);
    this.outbox.control(greeting(this.options, this.isServer));
    let cause: unknown;
    try {
      await this.#reader.run();
      this.failAll("the peer closed the connection");
      if (!this.closing.over) this.closing.end();
      await this.outbox.drained();
    } catch (error) {
      cause = error;
    }
    this.closing.close();
    this.failAll("the connection broke", cause);
    this.changed();
    this.shared.rounds.delete(this);
  }

  override destroy(code: number, text: string): void {
    super.destroy(code, text);
    this.#resume();
  }

  get quiet(): boolean {
    return this.streams.size === 0;
  }

  frame(type: number, flags: number, streamId: number, payload: Bytes): void {
    this.#checkOrder(type, flags, streamId);
    switch (type) {
      case FrameType.HEADERS:
        return this.#listed(this.#blocks.begin(flags, streamId, payload, this.now));
      case FrameType.CONTINUATION:
        if (payload.length === 0) this.countIdle();
        return this.#listed(this.#blocks.go(flags, payload));
      case FrameType.RST_STREAM:
        return this.#reset(streamId, read32(payload, 0));
      case FrameType.SETTINGS:
        return this.#settings(flags, payload);
      case FrameType.PUSH_PROMISE:
        throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE, which was not allowed");
      case FrameType.PING:
        return this.#ping(flags, payload);
      case FrameType.GOAWAY:
        return this.goingAway(read31(payload, 0), read32(payload, 4));
      case FrameType.WINDOW_UPDATE:
        return this.#windowUpdate(streamId, read31(payload, 0));
      case FrameType.PRIORITY:
        this.countIdle();
        return checkDependency(streamId, payload, 0);
      default:
        return this.countIdle();
    }
  }

  dataBegins(streamId: number, length: number, bytes: number): void {
    this.#checkOrder(FrameType.DATA, 0, streamId);
    this.inflow.count(length, length - bytes);
    const stream = this.#streamOf(streamId);
    if (bytes === 0 || !stream) this.countIdle();
    if (!stream) return;
    this.inflow.accept(stream, length, length - bytes);
    stream.movedAt = this.now;
    if (bytes > 0) this.earn();
  }

  data(part: Bytes): void {
    this.inflow.arrive(part);
  }

  dataEnds(endStream: boolean): void {
    const stream = this.inflow.finish();
    if (stream && endStream) this.remoteEnd(stream);
  }

  refused(error: unknown): void {
    if (error instanceof StreamFault && !this.isIdle(error.streamId)) {
      const stream = this.streams.get(error.streamId);
      if (stream) this.reset(stream, error);
      else this.outbox.control(encodeReset(error.streamId, error.code));
      this.countReset();
    } else if (error instanceof ConnectionFault || error instanceof StreamFault) {
      this.destroy(error.code, error.fault);
    } else {
      this.options.log(`Cannot read an HTTP/2 frame: ${error instanceof Error ? error.stack : error}`);
      this.destroy(ErrorCode.INTERNAL_ERROR, "a fault of this side");
    }
  }

  readEnds(): void {
    this.now = this.heardAt = performance.now();
    this.inflow.settle();
    if (this.outbox.queuedControl <= this.options.maxQueuedControl || this.over) return;
    if (this.outbox.stuckSince === undefined) return this.outbox.flush();
    this.destroy(ErrorCode.ENHANCE_YOUR_CALM, "answers are not read");
    this.closing.close();
  }

  pause(): Promise<void> | undefined {
    const room = this.over ? undefined : this.shared.held.room(() => this.over ? 0 : this.inflow.held);
    if (!room) return undefined;
    this.paused = true;
    return Promise.race([room, new Promise<void>((resolve) => this.#resume = resolve)]).then(() => {
      this.paused = false;
    });
  }

  override tick(now: number): void {
    super.tick(now);
    if (this.over) return;
    const { prefaceMs, headersMs } = this.options;
    if (!this.#greeted && now - this.quietSince > prefaceMs) {
      this.destroy(ErrorCode.SETTINGS_TIMEOUT, "no SETTINGS in time");
    } else if (now - (this.#blocks.waitingSince ?? now) > headersMs) {
      this.destroy(ErrorCode.ENHANCE_YOUR_CALM, "a header block that does not go on");
    } else if (!this.paused && now - (this.#reader.partSince ?? now) > headersMs) {
      this.destroy(ErrorCode.ENHANCE_YOUR_CALM, "a frame that does not go on");
    }
  }

  /** The stream of a frame. Nothing for one whose frames are to be ignored. */
  #streamOf(id: number): Stream | undefined {
    const stream = this.streams.get(id);
    if (stream) return stream;
    if (this.isIdle(id)) throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, `a frame of idle stream ${id}`);
    if (this.streams.closing(id) === "reset here" || id > this.closing.lastServed) return undefined;
    throw new ConnectionFault(ErrorCode.STREAM_CLOSED, `a frame of closed stream ${id}`);
  }

  #checkOrder(type: number, flags: number, streamId: number): void {
    this.#blocks.checkOrder(type, streamId);
    if (!this.#greeted && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0)) {
      throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a first frame that is not SETTINGS");
    }
  }

  #listed(list: HeaderList | undefined): void {
    if (!list) return;
    const { streamId, fields, endStream } = list;
    const stream = this.streams.get(streamId);
    if (stream) {
      if (stream.remoteEnded) {
        throw new StreamFault(streamId, ErrorCode.STREAM_CLOSED, "HEADERS after its end");
      }
      stream.movedAt = this.now;
      this.headed(stream, fields, endStream);
    } else if (streamId > this.closing.lastServed || this.streams.closing(streamId) === "reset here") {
      this.countIdle();
    } else if (this.streams.closing(streamId) !== undefined) {
      throw new ConnectionFault(ErrorCode.STREAM_CLOSED, `HEADERS of closed stream ${streamId}`);
    } else this.opened(streamId, fields, endStream);
  }

  #reset(streamId: number, code: number): void {
    if (this.isIdle(streamId)) {
      throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, `RST_STREAM of idle stream ${streamId}`);
    }
    const stream = this.streams.get(streamId);
    if (!stream) return this.countIdle();
    const why = `Cannot finish HTTP/2 stream ${streamId}: the peer reset it (${codeName(code)})`;
    const retryable = code === ErrorCode.REFUSED_STREAM;
    this.close(stream, "reset by peer", new Http2Error(code, why, { retryable }));
    if (this.isServer) this.countReset();
  }

  #settings(flags: number, payload: Bytes): void {
    this.countIdle();
    if ((flags & Flag.ACK) !== 0) return;
    // First, for what follows may be DATA that only the new settings allow.
    this.outbox.control(SETTINGS_ACK);
    this.outflow.settings(payload, !this.isServer, this.streams);
    this.#greeted = true;
    this.changed();
  }

  #ping(flags: number, payload: Bytes): void {
    this.countIdle();
    if ((flags & Flag.ACK) === 0) this.outbox.control(encodePing(payload, true));
    else if (this.closing.isKnown(this.now, payload)) this.decideEnd();
  }

  #windowUpdate(streamId: number, increment: number): void {
    this.countIdle();
    if (streamId === 0) return this.outflow.widenAll(increment);
    if (this.isIdle(streamId)) {
      throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, `WINDOW_UPDATE of idle stream ${streamId}`);
    }
    const stream = this.streams.get(streamId);
    if (stream) stream.movedAt = this.now;
    this.outflow.widen(streamId, increment, stream);
  }
}
