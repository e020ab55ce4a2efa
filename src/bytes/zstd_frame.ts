/**
 * zstd frames as firn stores and joins them (RFC 8878): a single segment, its content size in the header, no dictionary, no
 * checksum. Frames follow each other, so a file is put together from frames without compressing anything:
 *
 *   frame  = 28 b5 2f fd  descriptor  content size (1, 2, 4 or 8 bytes, little endian)  block+
 *   block  = 3 bytes, little endian: bit 0 last, bits 1–2 type (0 raw), the rest size; and its data
 *
 * A raw frame holds its content as it is, in blocks of at most 128 KiB.
 */
import type { Bytes } from "./bytes.ts";
import { FormatError } from "../errors.ts";

const MAGIC = 0xfd2fb528;
/** Set in the descriptor of a frame of a single segment, which has no window but its content. */
const SINGLE_SEGMENT = 0x20;
const CHECKSUM = 4;
/** Most bytes of a block. */
const BLOCK = 128 * 1024;
const BLOCK_HEADER = 3;

/** What a raw frame begins with: magic, descriptor and 4 bytes of content size. */
const RAW_HEADER = 4 + 1 + 4;

/** Length of the raw frame of so many bytes. */
export function rawFrameLength(size: number): number {
  return RAW_HEADER + Math.max(1, Math.ceil(size / BLOCK)) * BLOCK_HEADER + size;
}

/** The raw frame of some bytes, under 4 GiB. */
export function rawFrame(content: Bytes): Bytes {
  const frame = new Uint8Array(rawFrameLength(content.length));
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC, true);
  frame[4] = 2 << 6 | SINGLE_SEGMENT;
  view.setUint32(5, content.length, true);
  let at = RAW_HEADER;
  let from = 0;
  do {
    const end = Math.min(from + BLOCK, content.length);
    const header = (end - from) << 3 | (end === content.length ? 1 : 0);
    frame[at] = header;
    frame[at + 1] = header >> 8;
    frame[at + 2] = header >> 16;
    frame.set(content.subarray(from, end), at + BLOCK_HEADER);
    at += BLOCK_HEADER + end - from;
    from = end;
  } while (from < content.length);
  return frame;
}

/** The longest content of which {@link sizedFrame} takes a frame. */
export const MOST_SIZED = 256 + 0xffff;

/**
 * The same frame with its content size in its header, as one of a single segment, for one that says a window instead: its content is
 * complete, so no match reaches further back. Throws {@link FormatError} for another frame, `RangeError` for a size over {@link MOST_SIZED}.
 */
export function sizedFrame(frame: Uint8Array, size: number): Bytes {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < 9 || view.getUint32(0, true) !== MAGIC) throw fault("it does not begin as one");
  if (frame[4] !== 0) throw fault("its header says more than a window");
  if (size > MOST_SIZED) {
    throw new RangeError(`Cannot note a content size of ${size}: want at most ${MOST_SIZED}`);
  }
  const short = size < 256;
  const sized = new Uint8Array(frame.length + (short ? 0 : 1));
  sized.set(frame.subarray(0, 4));
  sized[4] = short ? SINGLE_SEGMENT : 1 << 6 | SINGLE_SEGMENT;
  sized[5] = short ? size : size - 256;
  if (!short) sized[6] = (size - 256) >> 8;
  sized.set(frame.subarray(6), short ? 6 : 7);
  return sized;
}

/**
 * The content size of a frame, from its header. Throws {@link FormatError} for anything but a frame that says it, needs no
 * dictionary and has no checksum.
 */
export function frameContentSize(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < 6 || view.getUint32(0, true) !== MAGIC) throw fault("it does not begin as one");
  const descriptor = frame[4];
  if (descriptor & 3) throw fault("it needs a dictionary");
  if (descriptor & CHECKSUM) throw fault("it has a checksum");
  const flag = descriptor >> 6;
  const single = (descriptor & SINGLE_SEGMENT) !== 0;
  if (flag === 0 && !single) throw fault("its header does not say its content size");
  const at = single ? 5 : 6;
  if (frame.length < headerLength(descriptor)) throw fault("it ends early");
  if (flag === 0) return frame[at];
  if (flag === 1) return view.getUint16(at, true) + 256;
  const size = flag === 2 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(size)) throw fault("its content size is out of range");
  return size;
}

/** Finds where a frame ends, by its blocks, whose contents are not looked at, while it comes. */
export class FrameScan {
  /** How far it was looked at: where the next block begins, which may not have come yet. */
  reached = 0;
  #ended = false;

  /**
   * Where the frame ends that these bytes begin with, and those of the call before began with, if that can be told yet; it may be behind
   * them. Throws {@link FormatError} where {@link frameContentSize} does, but for a header that is not all there.
   */
  end(bytes: Uint8Array): number | undefined {
    if (this.reached === 0) {
      const length = bytes.length < 5 ? Infinity : headerLength(bytes[4]);
      if (bytes.length < length) return undefined;
      frameContentSize(bytes);
      this.reached = length;
    }
    while (!this.#ended && this.reached + BLOCK_HEADER <= bytes.length) {
      const [first, second, third] = bytes.subarray(this.reached, this.reached + BLOCK_HEADER);
      const type = first >> 1 & 3;
      if (type === 3) throw fault("a block of it is of no known type");
      this.#ended = (first & 1) === 1;
      // A block of one byte repeated has that byte alone.
      this.reached += BLOCK_HEADER + (type === 1 ? 1 : first >> 3 | second << 5 | third << 13);
    }
    return this.#ended ? this.reached : undefined;
  }
}

/**
 * Length of the frame that some bytes begin with. Throws {@link FormatError} if it ends early, and where {@link frameContentSize} does.
 */
export function frameLength(bytes: Uint8Array): number {
  const end = new FrameScan().end(bytes);
  if (end === undefined || end > bytes.length) {
    frameContentSize(bytes);
    throw fault("it ends early");
  }
  return end;
}

/** Length of a header without a dictionary, by its descriptor. */
function headerLength(descriptor: number): number {
  return (descriptor & SINGLE_SEGMENT ? 5 : 6) + (1 << (descriptor >> 6));
}

function fault(why: string): FormatError {
  return new FormatError("zstd", `Cannot use the zstd frame: ${why}`);
}
