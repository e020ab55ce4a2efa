/**
 * The compression a NAR travels in: the interface a platform's codecs keep, and how a compression is told from bytes.
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { ByteSource } from "../bytes/streams.ts";

/** The names Nix gives compressions in `Compression:` and `?compression=`, those that firn knows. */
export type CompressionName = "none" | "xz" | "zstd" | "gzip" | "br" | "bzip2";

/** The longest history, in bytes, that a compressed stream may ask its decoder to keep: 128 MiB (`zstd --long=27`). */
export const MAX_HISTORY = 128 * 1024 * 1024;

/** The longest piece a codec delivers, in bytes: 512 KiB, and 256 KiB is usual. */
export const MAX_PIECE_LENGTH = 512 * 1024;

/**
 * Compressors and decompressors over streams.
 *
 * - Pieces have 1 to {@link MAX_PIECE_LENGTH} bytes, are the receiver's to keep, and are only to be read: they may be
 *   views of one buffer, and with `none` they are the source's own memory.
 * - The source is read at the pace of the consumer. Leaving the loop early releases the source and the decoder.
 * - Memory is bounded whatever the input claims or expands to: a few MiB, and the history the input asks for. More
 *   history than {@link MAX_HISTORY} is a `LimitError`, before it is allocated.
 * - Members that follow each other (gzip members, zstd frames, xz streams, bzip2 streams) are read as one.
 * - Input that is corrupt, that ends early (no bytes at all end early too, except of `none`), or that goes on after its
 *   end with anything but another member (or, in xz, stream padding) is a `FormatError` of the compression's name.
 *   Pieces before the fault may have been delivered.
 * - The checksums a format carries are verified. brotli has none: damage in it may go unseen.
 * - What the source throws is thrown on unchanged.
 * - A name that is not in the set is a `TypeError` at once.
 */
export interface Codec {
  /** What {@link decompress} takes; `none` is always there. */
  readonly decompresses: ReadonlySet<CompressionName>;
  /** What {@link compress} takes; `none` is always there. */
  readonly compresses: ReadonlySet<CompressionName>;
  /** The bytes that were compressed. */
  decompress(name: CompressionName, source: ByteSource): AsyncIterable<Bytes>;
  /** A compressed stream of the source's bytes that any tool for the format reads; chosen for speed, not for size. */
  compress(name: CompressionName, source: ByteSource): AsyncIterable<Bytes>;
}

/** Bytes that {@link sniffCompression} wants, if there are as many. */
export const SNIFF_LENGTH = 24;

// A NAR begins with the string "nix-archive-1": its length as 64 bits, the characters, zeros to a multiple of 8.
const NAR_MAGIC = [13, 0, 0, 0, 0, 0, 0, 0, ...Array.from("nix-archive-1", (c) => c.charCodeAt(0)), 0, 0, 0];

const MAGICS: readonly (readonly [CompressionName, readonly number[]])[] = [
  ["none", NAR_MAGIC],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["gzip", [0x1f, 0x8b, 0x08]],
];

/**
 * The compression of a NAR by its first bytes (24 are enough): that of xz, zstd (also where a skippable frame comes
 * first), gzip, bzip2, or `none` for a plain NAR. `undefined`: none of these; brotli has nothing to know it by.
 */
export function sniffCompression(first: Uint8Array): CompressionName | undefined {
  for (const [name, magic] of MAGICS) {
    if (magic.every((byte, i) => first[i] === byte)) return name;
  }
  const [a, b, c, d] = first;
  if (a >= 0x50 && a <= 0x5f && b === 0x2a && c === 0x4d && d === 0x18) return "zstd";
  if (a === 0x42 && b === 0x5a && c === 0x68 && d >= 0x31 && d <= 0x39) return "bzip2";
  return undefined;
}
