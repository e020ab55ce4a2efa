/**
 * The one who writes on a connection. Frames of all streams are joined in a buffer while the one before it is being
 * written, so that many small answers, or the head, body and trailers of one, are a single write.
 */
import { setImmediate } from "node:timers";
import { BufferPool } from "../../bytes/buffer_pool.ts";
import type { Bytes } from "../../bytes/bytes.ts";
import type { Duplex } from "./duplex.ts";
import { Flag, FRAME_HEADER, FrameType, putFrameHeader } from "./frames.ts";

/** Bytes after which streams have to wait for the next buffer. */
const FULL = 256 * 1024;
/** Buffers are somewhat larger: frames of the connection do not wait. */
const POOL = new BufferPool(FULL + 64 * 1024, 8);

export interface OutboxOwner {
  /** A write has begun and there is room again: put in what waits. */
  hasRoom(): void;
  /** The peer cannot be written to any more. */
  broken(error: unknown): void;
}

export class Outbox {
  #buffer: Bytes | undefined;
  #length = 0;
  #control = 0;
  #scheduled = false;
  #writing = false;
  #broken = false;
  #movedAt = 0;
  #idle: (() => void)[] = [];

  constructor(readonly duplex: Duplex, readonly owner: OutboxOwner) {}

  /** Bytes that streams may put in now, frame headers included. */
  get room(): number {
    return this.#broken ? 0 : FULL - this.#length;
  }

  /** Bytes of control frames that wait. */
  get queuedControl(): number {
    return this.#control;
  }

  /** Since when the peer has not taken a byte of what is being written, as `performance.now()`; nothing if it is not. */
  get stuckSince(): number | undefined {
    return this.#writing ? this.#movedAt : undefined;
  }

  /** A frame of the connection, or a whole one of a stream that has no place in its order. */
  control(frame: Bytes): void {
    if (this.#broken) return;
    const at = this.#reserve(frame.length);
    this.#buffer!.set(frame, at);
    this.#control += frame.length;
  }

  /** HEADERS, and CONTINUATION where the block is larger than a frame of the peer may be. */
  headers(streamId: number, block: Bytes, end: boolean, maxFrameSize: number): void {
    let type: number = FrameType.HEADERS;
    let flags: number = end ? Flag.END_STREAM : 0;
    let from = 0;
    do {
      const length = Math.min(maxFrameSize, block.length - from);
      if (from + length === block.length) flags |= Flag.END_HEADERS;
      this.#frame(type, flags, streamId, block, from, length);
      type = FrameType.CONTINUATION;
      flags = 0;
      from += length;
    } while (from < block.length);
  }

  /** DATA with some of these bytes, which are copied. */
  data(streamId: number, bytes: Uint8Array, from: number, length: number, end: boolean): void {
    this.#frame(FrameType.DATA, end ? Flag.END_STREAM : 0, streamId, bytes, from, length);
  }

  /** Writes now, not when everything that can go on has gone on. */
  flush(): void {
    void this.#write();
  }

  /** Waits until all that was put in is written, or cannot be. */
  drained(): Promise<void> | undefined {
    if (this.#broken || (!this.#writing && this.#length === 0)) return undefined;
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #frame(
    type: number,
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    from: number,
    length: number,
  ): void {
    if (this.#broken) return;
    const at = this.#reserve(FRAME_HEADER + length);
    putFrameHeader(this.#buffer!, at, length, type, flags, streamId);
    this.#buffer!.set(
      length === bytes.length ? bytes : bytes.subarray(from, from + length),
      at + FRAME_HEADER,
    );
  }

  /** Where so many bytes may be put. */
  #reserve(length: number): number {
    const at = this.#length;
    this.#buffer ??= POOL.take();
    if (at + length > this.#buffer.length) {
      const larger = new Uint8Array(2 * (at + length));
      larger.set(this.#buffer.subarray(0, at));
      this.#release(this.#buffer);
      this.#buffer = larger;
    }
    this.#length = at + length;
    if (this.#length >= FULL) void this.#write();
    else this.#schedule();
    return at;
  }

  #release(buffer: Bytes): void {
    if (buffer.length === POOL.length) POOL.give(buffer);
  }

  /** Writes after everything that can go on now has gone on: what it adds goes into the same write. */
  #schedule(): void {
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      void this.#write();
    });
  }

  async #write(): Promise<void> {
    if (this.#writing || this.#broken) return;
    this.#writing = true;
    // What is put in until the end of this turn still belongs to this write.
    await undefined;
    try {
      while (this.#length > 0) {
        const buffer = this.#buffer!;
        const bytes = buffer.subarray(0, this.#length);
        this.#buffer = undefined;
        this.#length = 0;
        this.#control = 0;
        const written = this.#writeAll(bytes);
        written.catch(() => {}); // seen below, unless what comes next throws
        this.owner.hasRoom();
        await written;
        this.#release(buffer);
      }
    } catch (error) {
      this.#broken = true;
      this.#buffer = undefined;
      this.#length = 0;
      this.owner.broken(error);
    }
    this.#writing = false;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  async #writeAll(bytes: Bytes): Promise<void> {
    this.#movedAt = performance.now();
    for (let at = 0; at < bytes.length;) {
      at += await this.duplex.write(at === 0 ? bytes : bytes.subarray(at));
      this.#movedAt = performance.now();
    }
  }
}
