/**
 * Where zstd frames begin and end (RFC 8878):
 *
 *   stream    = (frame | skippable)+
 *   frame     = magic header block* [checksum: 4 bytes]        magic = 28 b5 2f fd
 *   header    = descriptor [window: 1 byte] [dictionary id: 0, 1, 2, 4 bytes] [content size: 0, 1, 2, 4, 8 bytes]
 *   block     = 3 bytes (bit 0 last, bits 1–2 type, the rest size) and `size` bytes of data, 1 byte of type RLE
 *   skippable = magic size:u32le and `size` bytes              magic = 5? 2a 4d 18
 *
 * Decoders of `node:zlib` stop after the first frame of a write, drop what follows it, and call a truncated stream
 * complete. Given whole frames in separate writes they are right, so the frames are found here. What is inside a block
 * is not looked at.
 *
 * Limits: the window (for a frame in a single segment, its content) is at most `MAX_HISTORY`.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { FormatError, LimitError } from "../../errors.ts";
import { MAX_HISTORY } from "../../store/codec.ts";

/**
 * The same bytes in pieces of which none spans two frames. Throws `FormatError` where there is no frame or the last
 * one is cut off, and `LimitError` for a window that is too large, before the piece with that header is delivered.
 */
export async function* splitFrames(source: AsyncGenerator<Bytes>): AsyncGenerator<Bytes, void, void> {
  for await (const { bytes } of readFrames(source)) yield bytes;
}

/** A part of a frame. */
export interface FramePart {
  readonly bytes: Bytes;
  /** Whether the frame ends with it. */
  readonly last: boolean;
  /** Whether the frame is one to be skipped. */
  readonly skippable: boolean;
  /** Whether the frame's last four bytes are a checksum. */
  readonly hasChecksum: boolean;
}

/** The same, with what is known of the frame each piece is of. */
export async function* readFrames(source: AsyncGenerator<Bytes>): AsyncGenerator<FramePart, void, void> {
  const scanner = new FrameScanner();
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      const end = scanner.scan(piece, at);
      const { complete, skippable, hasChecksum } = scanner;
      yield { bytes: piece.subarray(at, end), last: complete, skippable, hasChecksum };
      at = end;
    }
  }
  if (!scanner.complete) throw new FormatError("zstd", "Cannot decompress zstd: the input ends early");
}

type Part = "magic" | "descriptor" | "header" | "skippable" | "block";

class FrameScanner {
  /** Whether the last byte scanned was the last one of a frame. */
  complete = false;
  /** Of the frame that was scanned last. */
  skippable = false;
  #part: Part = "magic";
  /** The part being gathered, at most the header's 14 bytes, of which `#have` are there and `#want` are needed. */
  #bytes = new Uint8Array(14);
  #have = 0;
  #want = 4;
  /** Bytes to pass over before the part. */
  #skip = 0;
  /** Whether the frame ends with what is passed over. */
  #last = false;
  #checksumLength = 0;

  /** Whether the frame scanned last has a checksum at its end. */
  get hasChecksum(): boolean {
    return !this.skippable && this.#checksumLength > 0;
  }

  /** Scans from `at` to the end of the frame or of the piece, and returns where that is. */
  scan(piece: Bytes, at: number): number {
    this.complete = false;
    while (true) {
      const passed = Math.min(this.#skip, piece.length - at);
      this.#skip -= passed;
      at += passed;
      if (this.#skip > 0) return at;
      if (this.#last) {
        this.#begin("magic", 4);
        this.#last = false;
        this.complete = true;
        return at;
      }
      while (this.#have < this.#want && at < piece.length) this.#bytes[this.#have++] = piece[at++];
      if (this.#have < this.#want) return at;
      this.#read();
    }
  }

  #begin(part: Part, want: number): void {
    this.#part = part;
    this.#have = 0;
    this.#want = want;
  }

  #end(skip: number): void {
    this.#skip = skip;
    this.#last = true;
  }

  #read(): void {
    const bytes = this.#bytes;
    switch (this.#part) {
      case "magic": {
        const magic = littleEndian(bytes, 0, 4);
        this.skippable = magic - magic % 16 === 0x184d2a50;
        if (magic === 0xfd2fb528) this.#begin("descriptor", 1);
        else if (this.skippable) this.#begin("skippable", 4);
        else throw new FormatError("zstd", "Cannot decompress zstd: no frame where one should begin");
        return;
      }
      case "skippable":
        return this.#end(littleEndian(bytes, 0, 4));
      case "descriptor":
        this.#part = "header";
        this.#want = headerLength(bytes[0]);
        this.#checksumLength = bytes[0] & 4 ? 4 : 0;
        return;
      case "header": {
        const window = windowSize(bytes, this.#have);
        if (window > MAX_HISTORY) {
          throw new LimitError(
            MAX_HISTORY,
            `Cannot decompress zstd: it wants a window of ${window} bytes, at most ${MAX_HISTORY} are allowed`,
          );
        }
        return this.#begin("block", 3);
      }
      case "block": {
        const block = littleEndian(bytes, 0, 3);
        const type = (block >> 1) & 3;
        if (type === 3) {
          throw new FormatError("zstd", "Cannot decompress zstd: a block has the reserved type");
        }
        const length = type === 1 ? 1 : block >> 3;
        this.#begin("block", 3);
        if (block & 1) this.#end(length + this.#checksumLength);
        else this.#skip = length;
      }
    }
  }
}

function littleEndian(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
  return value;
}

/** Bytes of the content size field, by the descriptor. */
function contentSizeLength(descriptor: number): number {
  const flag = descriptor >> 6;
  return flag === 0 ? (descriptor >> 5) & 1 : 1 << flag;
}

/** Bytes of the whole header, descriptor included. */
function headerLength(descriptor: number): number {
  const windowLength = descriptor & 0x20 ? 0 : 1;
  return 1 + windowLength + [0, 1, 2, 4][descriptor & 3] + contentSizeLength(descriptor);
}

/** Bytes of history a header asks for. */
function windowSize(header: Uint8Array, length: number): number {
  if (header[0] & 0x20) {
    const size = contentSizeLength(header[0]);
    return littleEndian(header, length - size, size) + (size === 2 ? 256 : 0);
  }
  const base = 2 ** (10 + (header[1] >> 3));
  return base + (base / 8) * (header[1] & 7);
}
