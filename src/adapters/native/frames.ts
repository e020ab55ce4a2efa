/** zstd frames made and read by `node:zlib`. Each call of its functions makes a context anew, which takes 15 to 50 µs. */
import {
  constants,
  createZstdCompress,
  type ZstdCompress,
  zstdCompressSync,
  zstdDecompressSync,
} from "node:zlib";
import { type Bytes, concat } from "../../bytes/bytes.ts";
import { frameContentSize, frameLength, sizedFrame } from "../../bytes/zstd_frame.ts";
import { FormatError } from "../../errors.ts";
import type { FrameDecoder } from "../../castore/stored_form.ts";

/** A frame has to be shorter than its content by this part of it. */
const SAVED = 1 / 32;
/** A shorter value is not tried: what a frame takes besides its content is more than it could save. */
const LEAST = 64;
/** Bytes beyond the content that make room for any frame of it at once. */
const SLACK = 1024;
/** Values up to this length are compressed in one context. */
const SHORT = 8 * 1024;
/** Length of a frame without content. */
const EMPTY_FRAME = 9;
/**
 * The shortest match that zstd looks for in values that it knows to be short, by level. It is not told there how long they are, and would
 * look for longer ones, for frames 1 to 3 % longer. Of higher levels more is different.
 */
const SHORT_MATCH: Readonly<Record<number, number>> = { 1: 5, 2: 4, 3: 4 };

/**
 * Makes frames of values, always the same of the same value. No checksum: what is in a frame has a digest. The content size is
 * in the header.
 */
export class NativeEncoder implements Disposable {
  #level: number;
  #short: ZstdCompress | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param level 1 to 19 */
  constructor(level: number) {
    this.#level = level;
  }

  /**
   * The frame of each value; `undefined` if it would not be a few percent shorter. The values have to stay as they are until the
   * promise settles.
   */
  encode(values: readonly Bytes[]): Promise<(Bytes | undefined)[]> {
    const encoded = this.#last.then(() => this.#encode(values));
    this.#last = encoded.catch(() => {});
    return encoded;
  }

  [Symbol.dispose](): void {
    this.#short?.destroy();
    this.#short = undefined;
  }

  async #encode(values: readonly Bytes[]): Promise<(Bytes | undefined)[]> {
    const frames: (Bytes | undefined)[] = [];
    for (const value of values) {
      if (value.length < LEAST) {
        frames.push(undefined);
        continue;
      }
      const short = value.length <= SHORT && this.#level in SHORT_MATCH;
      const frame = short ? await this.#shortFrame(value) : this.#longFrame(value);
      frames.push(frame.length <= value.length * (1 - SAVED) ? frame : undefined);
    }
    return frames;
  }

  #longFrame(value: Bytes): Bytes {
    // As all of the value is there from the beginning, its size is in the header.
    const options = {
      params: this.#params,
      pledgedSrcSize: value.length,
      chunkSize: value.length + SLACK,
    };
    return zstdCompressSync(value, options) as Uint8Array as Bytes;
  }

  /** A stream ends a frame with each write, and does not know then how long it is. */
  #shortFrame(value: Bytes): Promise<Bytes> {
    const stream = this.#short ??= this.#openShort();
    return new Promise((resolve, reject) => {
      stream.write(value, (error) => {
        if (error) return reject(error);
        try {
          const parts: Bytes[] = [];
          for (let part = stream.read(); part !== null; part = stream.read()) parts.push(plain(part));
          resolve(shortFrame(parts.length === 1 ? parts[0] : concat(parts), value.length));
        } catch (error) {
          this[Symbol.dispose](); // what is left in the stream would come before the next frame
          reject(error);
        }
      });
    });
  }

  #openShort(): ZstdCompress {
    const options = {
      flush: constants.ZSTD_e_end,
      params: { ...this.#params, [constants.ZSTD_c_minMatch]: SHORT_MATCH[this.#level] },
      chunkSize: SHORT + SLACK,
      highWaterMark: 2 * SHORT, // more than any frame, so that a write never waits for room
    };
    // An error is told to whoever wrote.
    return createZstdCompress(options).on("error", () => this.#short = undefined);
  }

  get #params(): Record<number, number> {
    return { [constants.ZSTD_c_compressionLevel]: this.#level, [constants.ZSTD_c_checksumFlag]: 0 };
  }
}

/** Not a `Buffer`, of which each view takes a microsecond. */
function plain({ buffer, byteOffset, length }: Bytes): Bytes {
  return new Uint8Array(buffer, byteOffset, length);
}

/**
 * The frame that a stream made of a value of this length, with that in its header. Where the frame did not fit into the stream's buffer, an
 * empty one follows it.
 */
function shortFrame(made: Bytes, size: number): Bytes {
  const sized = sizedFrame(made, size);
  const end = frameLength(sized);
  if (end !== sized.length && sized.length - end !== EMPTY_FRAME) {
    throw new FormatError("zstd", "Cannot compress: zlib made more than one frame");
  }
  return sized.subarray(0, end);
}

/** Reads frames. */
export const nativeFrames: FrameDecoder = {
  decode(frame, size) {
    let content: Uint8Array;
    try {
      if (frameContentSize(frame) !== size) throw new Error("its content has another size");
      // What follows a frame, or is missing after its content, is not noticed by zlib.
      if (frameLength(frame) !== frame.length) throw new Error("more follows it");
      content = zstdDecompressSync(frame, {
        chunkSize: Math.max(SLACK, size),
        maxOutputLength: Math.max(1, size),
      });
    } catch (cause) {
      throw new FormatError("zstd", `Cannot read the zstd frame: ${(cause as Error).message}`, { cause });
    }
    if (content.length === size) return content as Bytes;
    throw new FormatError(
      "zstd",
      "Cannot read the zstd frame: its content is not as long as its header says",
    );
  },
};
