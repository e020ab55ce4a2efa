import type { Bytes } from "../bytes/bytes.ts";

/**
 * A value in the form in which it is stored: plain, or as one zstd frame (`bytes/zstd_frame.ts`: content size in its header,
 * no dictionary, no checksum). The digest of a chunk is always of its plain bytes.
 */
export interface StoredForm {
  /** The frame, or the plain bytes; only to be read. */
  readonly bytes: Bytes;
  readonly frame: boolean;
  /** Length of the plain bytes. */
  readonly size: number;
}

/** Decompresses frames. */
export interface FrameDecoder {
  /**
   * The content of one frame, which has `size` bytes. Throws `FormatError` if the frame is corrupt or its content has
   * another size.
   */
  decode(frame: Bytes, size: number): Bytes;
}
