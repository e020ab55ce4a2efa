/** zstd frames made and read by `node:zlib`. Each call makes a context anew, which takes 15 µs and more: not for short frames. */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { Bytes } from "../../bytes/bytes.ts";
import { frameContentSize, frameLength } from "../../bytes/zstd_frame.ts";
import { FormatError } from "../../errors.ts";
import type { FrameDecoder } from "../../castore/stored_form.ts";

/** A frame has to be shorter than its content by this part of it. */
const SAVED = 1 / 32;
/** A shorter value is not tried: what a frame takes besides its content is more than it could save. */
const LEAST = 64;
/** Bytes beyond the content that make room for any frame of it at once. */
const SLACK = 1024;

/** The frame of a value, or `undefined` if it would not be a few percent shorter. @param level 1 to 19 */
export function encodeFrame(value: Bytes, level: number): Bytes | undefined {
  if (value.length < LEAST) return undefined;
  // No checksum: what is in a frame has a digest. The content size is in the header, as all of it is there from the beginning.
  const options = {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 0 },
    pledgedSrcSize: value.length,
    chunkSize: value.length + SLACK,
  };
  const frame = zstdCompressSync(value, options);
  return frame.length <= value.length * (1 - SAVED) ? frame as Uint8Array as Bytes : undefined;
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
