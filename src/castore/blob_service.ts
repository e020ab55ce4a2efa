import type { Bytes } from "../bytes/bytes.ts";
import type { ByteRange } from "./byte_store.ts";
import type { Digest } from "./digest.ts";
import type { StoredForm } from "./stored_form.ts";

/** A blob of at most this many bytes, 128 KiB, is one chunk. */
export const SHORT_LENGTH = 128 * 1024;

/** One piece of a blob, itself a blob: its digest and its length in bytes. */
export interface ChunkMeta {
  readonly digest: Digest;
  readonly size: number;
}

/** A blob that is there, opened for reading: an iterable of its bytes in order. */
export interface BlobReader extends AsyncIterable<Bytes> {
  /** Length of the whole blob in bytes, whatever range was asked for. */
  readonly size: number;
  /** All bytes asked for, in one array. */
  bytes(): Promise<Bytes>;
}

/**
 * Blobs (file contents) under their BLAKE3 digest.
 *
 * - What is read is what the digest names: bytes that are not end the read with a `DamageError`, before any of the
 *   damaged chunk is delivered.
 * - A chunk of a blob is a blob: `has`, `open`, `chunks` and `outboard` take its digest.
 * - Pieces delivered are at most 512 KiB and are only to be read, not written; they stay valid.
 * - Putting a blob that is there already is fine and writes nothing.
 */
export interface BlobService {
  /** Bytes that who reads many blobs in order should ask for ahead; as that of `ByteStore`. */
  readonly readAhead?: number;
  /** Whoever put blobs waits for them and has none to add, until the function returned is called; as that of `ByteStore`. */
  hurry?(): () => void;
  /** Whether the blob is there, whole. The empty blob is absent until it was put, like any other. */
  has(digest: Digest): Promise<boolean>;
  /**
   * Opens a blob, or those bytes of it that the range covers (end clamped). `undefined`: it is not there.
   * Ending the iteration early releases what it held.
   */
  open(digest: Digest, options?: { range?: ByteRange }): Promise<BlobReader | undefined>;
  /**
   * All bytes of each of these blobs, of at most {@link SHORT_LENGTH} bytes each and 512 KiB together; `undefined` for one that is not
   * there. Their bytes are the same as `open` gives, and it fails as reading does. What lies together is read and verified
   * together: for who reads thousands of files. A service that gains nothing by it leaves it out.
   */
  getAll?(digests: readonly Digest[]): Promise<(Bytes | undefined)[]>;
  /**
   * Each of these chunks as it is stored, plain or as a zstd frame, in order; `undefined` for one that is not there. Of at most 4 MiB
   * (plain) together. A frame was proven to be what was stored, and plain bytes to be what the digest names; either fails as reading does.
   * A service that has only plain bytes leaves it out.
   */
  getStored?(digests: readonly Digest[]): Promise<(StoredForm | undefined)[]>;
  /**
   * Stores a blob and resolves to its digest and length once it is durable. Bytes given at once are read before the
   * call returns its promise; a stream is read at the pace of the store, and each of its pieces needs to be valid only
   * until the next is asked for. If the source throws, so does `put`, and no blob is visible (chunks of it may be).
   */
  put(source: Bytes | AsyncIterable<Bytes>): Promise<ChunkMeta>;
  /**
   * Stores blobs as `put` does, of at most {@link SHORT_LENGTH} bytes each and 512 KiB together: resolves, in their order, when all are
   * durable. They are hashed and written together. If one fails, so does the call, and others may have been stored. A
   * service that gains nothing by it leaves it out.
   */
  putAll?(blobs: readonly Bytes[]): Promise<ChunkMeta[]>;
  /**
   * The chunks of a blob in order, sizes summing to the blob's; a blob of one chunk lists itself, the empty blob
   * lists nothing. `undefined`: it is not there.
   */
  chunks(digest: Digest): Promise<readonly ChunkMeta[] | undefined>;
  /**
   * What any range of the blob is verified with (`hash/bao_tree.ts`): the parents of BLAKE3's tree above groups of
   * 16 KiB, in pre-order, without a length before them. Empty for a blob of one group or less, 1/256 of a longer one,
   * and only to be read, not written. Where it was not kept, asking for it reads the blob. `undefined`: the blob is not
   * there.
   */
  outboard(digest: Digest): Promise<Bytes | undefined>;
}
