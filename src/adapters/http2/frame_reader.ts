/**
 * Cuts what a peer sends into frames. DATA is handed on as it comes, a part at a time: a frame may be larger than the
 * buffer. The payload of any other frame is handed on whole.
 */
import { BufferPool } from "../../bytes/buffer_pool.ts";
import { type Bytes, EMPTY, equals } from "../../bytes/bytes.ts";
import type { Duplex } from "./duplex.ts";
import { checkFrame, Flag, FRAME_HEADER, FrameType, read31 } from "./frames.ts";
import { ConnectionFault, ErrorCode } from "./http2_error.ts";

/** Bytes of the buffer of a connection that is quiet, and of one that has much to read. */
const SMALL = 16 * 1024;
const POOL = new BufferPool(256 * 1024, 8);
/** The largest payload that is not DATA, if header lists may not be larger: a block is never larger than its list. */
const MAX_OTHER = 16 * 1024;

/** Who gets the frames. Bytes are valid until {@link readEnds} returns. */
export interface FrameSink {
  /** A frame that is not DATA. The payload of a type nobody knows is not handed on. */
  frame(type: number, flags: number, streamId: number, payload: Bytes): void;
  /** DATA of so many bytes, then as many as are neither padding nor its length. */
  dataBegins(streamId: number, length: number, bytes: number): void;
  data(part: Bytes): void;
  dataEnds(endStream: boolean): void;
  /** A frame could not be accepted: a stream, or the connection, cannot go on. */
  refused(error: unknown): void;
  /** All frames of one read were handed on. */
  readEnds(): void;
  /** A promise to wait for before the next read. */
  pause(): Promise<void> | undefined;
  /** Whether nothing is under way, so that a small buffer does. */
  readonly quiet: boolean;
  /** Whether the connection has ended here: what comes is read and forgotten, so that the peer gets to see why. */
  readonly over: boolean;
}

export class FrameReader {
  #buffer: Bytes = new Uint8Array(SMALL);
  #from = 0;
  #to = 0;
  /** Bytes the frame at the front needs to be looked at. */
  #needed = FRAME_HEADER;
  #dataLeft = 0;
  #padding = 0;
  #skip = 0;
  #prefaceLeft: Bytes;
  #endStream = false;
  #inData = false;
  #filled = false;
  #partSince: number | undefined;

  /**
   * @param preface what the peer must send before its first frame
   * @param limits the largest payload of any frame, and the largest header list
   */
  constructor(
    readonly duplex: Duplex,
    readonly sink: FrameSink,
    readonly limits: { maxFrameSize: number; maxHeaderListSize: number },
    preface: Bytes,
  ) {
    this.#prefaceLeft = preface;
  }

  /**
   * Since when a part of a frame waits for the rest, as `performance.now()`. Of DATA that is its first bytes only: the payload is
   * handed on as it comes.
   */
  get partSince(): number | undefined {
    return this.#partSince;
  }

  /** Reads until the peer ends. Throws what the stream broke with. */
  async run(): Promise<void> {
    try {
      while (true) {
        const pause = this.sink.pause();
        if (pause) {
          await pause;
          this.#partSince &&= performance.now(); // the peer had no chance
        }
        this.#makeRoom();
        const read = await this.duplex.read(this.#buffer.subarray(this.#to));
        if (read === null) return;
        this.#to += read;
        this.#filled = this.#to === this.#buffer.length;
        this.#cutAll();
        if (this.#from === this.#to) this.#partSince = undefined;
        else if (this.#from > 0) this.#partSince = performance.now();
        else this.#partSince ??= performance.now();
      }
    } finally {
      if (this.#buffer.length === POOL.length) POOL.give(this.#buffer);
      this.#buffer = EMPTY;
    }
  }

  #makeRoom(): void {
    const length = this.#to - this.#from;
    const large = this.#buffer.length === POOL.length;
    const wanted = this.#needed > SMALL || (this.#filled && !large) || (large && !this.sink.quiet);
    const buffer = wanted === large ? this.#buffer : wanted ? POOL.take() : new Uint8Array(SMALL);
    if (buffer !== this.#buffer || this.#from > 0) {
      buffer.set(this.#buffer.subarray(this.#from, this.#to));
      if (large && buffer !== this.#buffer) POOL.give(this.#buffer);
      this.#buffer = buffer;
    }
    this.#from = 0;
    this.#to = length;
  }

  #cutAll(): void {
    try {
      while (!this.sink.over && this.#preface() && this.#skipped() && this.#step());
    } catch (error) {
      this.sink.refused(error);
    }
    this.sink.readEnds();
    if (this.sink.over) this.#from = this.#to = 0;
  }

  #step(): boolean {
    return this.#inData ? this.#data() : this.#frame();
  }

  /** Checks the preface as far as it is there. Returns whether all of it is. */
  #preface(): boolean {
    if (this.#prefaceLeft.length === 0) return true;
    const length = Math.min(this.#prefaceLeft.length, this.#to - this.#from);
    const there = this.#buffer.subarray(this.#from, this.#from + length);
    if (!equals(there, this.#prefaceLeft.subarray(0, length))) {
      throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "no HTTP/2 preface");
    }
    this.#from += length;
    this.#prefaceLeft = this.#prefaceLeft.subarray(length);
    return this.#prefaceLeft.length === 0;
  }

  /** Skips padding and payloads nobody wants. Returns whether all of it was there. */
  #skipped(): boolean {
    const length = Math.min(this.#skip, this.#to - this.#from);
    this.#from += length;
    this.#skip -= length;
    return this.#skip === 0;
  }

  /** Hands on a part of DATA. Returns whether there may be more to do. */
  #data(): boolean {
    const length = Math.min(this.#dataLeft, this.#to - this.#from);
    if (length > 0) this.sink.data(this.#buffer.subarray(this.#from, this.#from + length));
    this.#from += length;
    this.#dataLeft -= length;
    if (this.#dataLeft > 0) return false;
    this.#inData = false;
    this.#skip = this.#padding;
    this.#guard(() => this.sink.dataEnds(this.#endStream));
    return true;
  }

  /** Hands on the frame at the front. Returns whether it was there. */
  #frame(): boolean {
    const there = this.#to - this.#from;
    this.#needed = FRAME_HEADER;
    if (there < FRAME_HEADER) return false;
    const buffer = this.#buffer;
    const at = this.#from;
    const length = buffer[at] << 16 | buffer[at + 1] << 8 | buffer[at + 2];
    const type = buffer[at + 3];
    const flags = buffer[at + 4];
    const streamId = read31(buffer, at + 5);
    const checked = this.#guard(() => checkFrame(type, flags, length, streamId, this.limits.maxFrameSize));
    if (!checked || type > FrameType.CONTINUATION) {
      this.#from += FRAME_HEADER;
      this.#skip = length;
      if (checked) this.#guard(() => this.sink.frame(type, flags, streamId, EMPTY));
      return true;
    }
    if (type === FrameType.DATA) return this.#dataFrame(flags, streamId, length);
    if (length > Math.max(MAX_OTHER, this.limits.maxHeaderListSize)) {
      throw new ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, `a frame that is not DATA of ${length} bytes`);
    }
    this.#needed = FRAME_HEADER + length;
    if (there < this.#needed) return false;
    this.#from += this.#needed;
    const payload = buffer.subarray(at + FRAME_HEADER, this.#from);
    this.#guard(() => this.sink.frame(type, flags, streamId, payload));
    return true;
  }

  #dataFrame(flags: number, streamId: number, length: number): boolean {
    const padded = (flags & Flag.PADDED) !== 0 ? 1 : 0;
    this.#needed = FRAME_HEADER + padded;
    if (padded > length) {
      throw new ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "padded DATA without a pad length");
    }
    if (this.#to - this.#from < this.#needed) return false;
    const padding = padded === 1 ? this.#buffer[this.#from + FRAME_HEADER] + 1 : 0;
    if (padding > length) throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "DATA with too much padding");
    this.#from += this.#needed;
    this.#dataLeft = length - padding;
    this.#padding = padding - padded;
    this.#endStream = (flags & Flag.END_STREAM) !== 0;
    this.#inData = true;
    this.#guard(() => this.sink.dataBegins(streamId, length, this.#dataLeft));
    return true;
  }

  /** Runs a step for one frame. Returns whether the frame was accepted. */
  #guard(step: () => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      this.sink.refused(error);
      return false;
    }
  }
}
