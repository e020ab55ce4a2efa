/**
 * Decompresses zstd without `node:zlib`, by fzstd. It takes no notice of the checksum at the end of a frame and of where one frame
 * ends and another begins, so frames are found before (`zstd_frames.ts`) and their checksums compared here.
 */
import { Decompress } from "fzstd";
import { type Bytes, concat, EMPTY, equals } from "../../bytes/bytes.ts";
import { FormatError } from "../../errors.ts";
import type { Hasher } from "../../hash/hasher.ts";
import { createXxHash64 } from "../../hash/xxhash64.ts";
import { type FramePart, readFrames } from "./zstd_frames.ts";

/** Input is given in parts, so that what one expands to is bounded: a block of 4 bytes may stand for 128 KiB. */
const PART = 256;
const CHECKSUM = 4;

/** A frame that is being read. */
class Frame {
  readonly #hasher: Hasher;
  readonly #decoder: Decompress;
  #tail: Bytes = EMPTY;
  ready: Bytes[] = [];

  constructor(hasher: Hasher) {
    this.#hasher = hasher;
    this.#decoder = new Decompress((bytes) => {
      if (bytes.length === 0) return;
      this.#hasher.update(bytes as Bytes);
      this.ready.push((bytes as Bytes).slice()); // it may be a view of the window, which changes
    });
  }

  push(bytes: Bytes, { hasChecksum }: FramePart, last: boolean): void {
    if (hasChecksum) this.#tail = concat([this.#tail, bytes.subarray(-CHECKSUM)]).slice(-CHECKSUM);
    try {
      this.#decoder.push(bytes.slice(), last); // it may hold on to its input
    } catch (cause) {
      throw fault((cause as Error).message, cause);
    }
    if (!last || !hasChecksum) return;
    const sum = this.#hasher.digest().subarray(-CHECKSUM).reverse();
    if (!equals(sum, this.#tail)) throw fault("the checksum of a frame is wrong");
  }
}

/** The bytes that were compressed. */
export async function* decompressZstd(input: AsyncGenerator<Bytes>): AsyncGenerator<Bytes, void, void> {
  try {
    let frame: Frame | undefined;
    for await (const part of readFrames(input)) {
      if (part.skippable) continue;
      for (let at = 0; at < part.bytes.length; at += PART) {
        frame ??= new Frame(await createXxHash64());
        const bytes = part.bytes.subarray(at, at + PART);
        frame.push(bytes, part, part.last && at + PART >= part.bytes.length);
        for (const bytes of frame.ready) yield bytes;
        frame.ready = [];
      }
      if (part.last) frame = undefined;
    }
  } finally {
    await input.return(undefined);
  }
}

function fault(why: string, cause?: unknown): FormatError {
  return new FormatError("zstd", `Cannot decompress zstd: ${why}`, { cause });
}
