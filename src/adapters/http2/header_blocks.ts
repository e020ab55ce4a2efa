/**
 * Header blocks (RFC 9113, section 4.3): HEADERS, then CONTINUATION until one has END_HEADERS, with nothing in between. Every
 * block is decoded, wanted or not: the tables of both ends must stay the same.
 */
import { type Bytes, concat } from "../../bytes/bytes.ts";
import { Flag, FrameType, read31 } from "./frames.ts";
import { HeaderListTooLargeError, HpackDecoder, HpackError } from "./hpack_decoder.ts";
import type { HeaderField } from "./hpack_tables.ts";
import { ConnectionFault, ErrorCode } from "./http2_error.ts";

/** What a block says. */
export interface HeaderList {
  readonly streamId: number;
  /** Nothing where the list was too large. */
  readonly fields: readonly HeaderField[] | undefined;
  readonly endStream: boolean;
}

export interface HeaderLimits {
  readonly maxHeaderListSize: number;
  readonly maxHeaderBlockSize: number;
  readonly maxContinuations: number;
}

/** No block is under way: it would be of the connection, and none is. */
const NONE = 0;

export class HeaderBlocks {
  readonly #decoder: HpackDecoder;
  #streamId = NONE;
  #endStream = false;
  #since = 0;
  #parts: Bytes[] = [];
  #size = 0;

  constructor(readonly limits: HeaderLimits) {
    this.#decoder = new HpackDecoder({ maxTableSize: 4096, maxListSize: limits.maxHeaderListSize });
  }

  /** Since when a block has been waiting for its rest, as `performance.now()`; nothing if none does. */
  get waitingSince(): number | undefined {
    return this.#streamId === NONE ? undefined : this.#since;
  }

  /** Checks that a frame may come now. Throws {@link ConnectionFault} if a block must go on first, or there is none. */
  checkOrder(type: number, streamId: number): void {
    const continues = type === FrameType.CONTINUATION;
    if (continues ? streamId !== this.#streamId : this.#streamId !== NONE) {
      throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block that is torn apart");
    }
  }

  /** Takes HEADERS. Returns the list if that was all of the block. Throws {@link ConnectionFault}. */
  begin(flags: number, streamId: number, payload: Bytes, now: number): HeaderList | undefined {
    let from = 0;
    let to = payload.length;
    if ((flags & Flag.PADDED) !== 0) to -= payload[from++];
    if ((flags & Flag.PRIORITY) !== 0) {
      if (to - from >= 5) checkDependency(streamId, payload, from);
      from += 5;
    }
    if (!(from <= to)) throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS with too much padding");
    const block = payload.subarray(from, to);
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.END_HEADERS) !== 0) return { streamId, fields: this.#decode(block), endStream };
    this.#streamId = streamId;
    this.#endStream = endStream;
    this.#since = now;
    this.#parts = [block.slice()];
    this.#size = block.length;
    return undefined;
  }

  /** Takes CONTINUATION, as {@link begin} does. */
  go(flags: number, payload: Bytes): HeaderList | undefined {
    const { maxHeaderBlockSize, maxContinuations } = this.limits;
    this.#size += payload.length;
    if (this.#size > maxHeaderBlockSize || this.#parts.length > maxContinuations) {
      throw new ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header block that does not end");
    }
    this.#parts.push(payload.slice());
    if ((flags & Flag.END_HEADERS) === 0) return undefined;
    const list = {
      streamId: this.#streamId,
      fields: this.#decode(concat(this.#parts)),
      endStream: this.#endStream,
    };
    this.#streamId = NONE;
    this.#parts = [];
    return list;
  }

  #decode(block: Bytes): HeaderField[] | undefined {
    try {
      return this.#decoder.decode(block);
    } catch (error) {
      if (error instanceof HeaderListTooLargeError) return undefined;
      if (error instanceof HpackError) throw new ConnectionFault(ErrorCode.COMPRESSION_ERROR, error.message);
      throw error;
    }
  }
}

/** Refuses a stream that depends on itself. Priorities themselves are ignored. */
export function checkDependency(streamId: number, payload: Bytes, at: number): void {
  if (read31(payload, at) === streamId) {
    throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, `stream ${streamId} depends on itself`);
  }
}
