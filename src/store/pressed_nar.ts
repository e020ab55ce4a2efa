/**
 * A pressed NAR: the archive as a list of chunks, each of which is one zstd frame in the file `.nar.zst`, and what is known of that
 * file. Chunks are those of the larger files, and between them runs of the archive's words together with small files
 * (`press_nar.ts`).
 *
 *   record := version(1) fileSize(u64) sha256(32) row* sum(16)
 *   row    := digest(32) size(u32) length(u32)      one a chunk, in the order of the archive
 *
 * Numbers are little endian. `fileSize` and `sha256` are of the file. `size` is that of the chunk's plain bytes, `length` that of
 * its frame: as it is stored, or, of a chunk that is stored plain, a raw one. `sum` is the beginning of the BLAKE3 of all before
 * it: a record is not named by its own digest, so it carries one.
 *
 * The name of a record is the BLAKE3 of what of a root node says what is in its NAR, and no sizes, of which one NAR may have
 * several:
 *
 *   name := BLAKE3( kind(1) executable(1) ( digest(32) | target ) )      kind: 1 Directory, 2 file, 3 symlink
 */
import { type Bytes, concat, equals } from "../bytes/bytes.ts";
import { type Digest, DIGEST_LENGTH } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import { DamageError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";

const VERSION = 1;
const HEAD = 1 + 8 + 32;
const ROW = DIGEST_LENGTH + 4 + 4;
const SUM = 16;
/** Rows there is room for at first. */
const FIRST_ROOM = 64;
/** Memory of a record besides its bytes: where each chunk begins. */
const WEIGHT = 1000, WEIGHT_OF_ROW = 8;

/** The name of a node's record. */
export function pressedName(node: Node): Digest {
  if (node.type === "directory") return blake3(concat([Uint8Array.of(1, 0), node.digest]));
  if (node.type === "symlink") return blake3(concat([Uint8Array.of(3, 0), node.target]));
  return blake3(concat([Uint8Array.of(2, node.executable ? 1 : 0), node.digest]));
}

/** The chunks of a NAR, in order; of each also the length of its frame, once that is known. */
export class ChunkRows {
  #bytes: Bytes = new Uint8Array(HEAD + FIRST_ROOM * ROW);
  #view = new DataView(this.#bytes.buffer);
  /** How many there are. */
  count = 0;

  /** A row more, whose digest may be told later. Returns its number. */
  add(size: number, digest?: Digest): number {
    const at = HEAD + this.count * ROW;
    if (at + ROW > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#view.setUint32(at + DIGEST_LENGTH, size, true);
    if (digest) this.#bytes.set(digest, at);
    return this.count++;
  }

  setDigest(row: number, digest: Digest): void {
    this.#bytes.set(digest, HEAD + row * ROW);
  }

  setLength(row: number, length: number): void {
    this.#view.setUint32(HEAD + row * ROW + DIGEST_LENGTH + 4, length, true);
  }

  /** The digest of a chunk; only to be read, and before rows are added. */
  digest(row: number): Digest {
    return this.#bytes.subarray(HEAD + row * ROW, HEAD + row * ROW + DIGEST_LENGTH);
  }

  /** Bytes of a chunk. */
  size(row: number): number {
    return this.#view.getUint32(HEAD + row * ROW + DIGEST_LENGTH, true);
  }

  /** The record, when all lengths are known. */
  encode(fileSize: number, sha256: Bytes): Bytes {
    this.#bytes[0] = VERSION;
    this.#view.setBigUint64(1, BigInt(fileSize), true);
    this.#bytes.set(sha256, 9);
    const record = this.#bytes.subarray(0, HEAD + this.count * ROW);
    return concat([record, blake3(record).subarray(0, SUM)]);
  }
}

/** A record that was read. */
export class PressedNar {
  /** Bytes in the NAR. */
  readonly narSize: number;
  /** Bytes in the file. */
  readonly fileSize: number;
  /** SHA-256 of the file. */
  readonly sha256: Bytes;
  /** Chunks, each a frame of the file. */
  readonly count: number;
  #bytes: Bytes;
  #view: DataView;
  /** Where each frame begins in the file, and where the last ends. */
  #offsets: Float64Array;

  /** Reads a record. Throws {@link DamageError} if it is none or fails its own check; `key` is for the message. */
  constructor(bytes: Bytes, key: string) {
    const end = bytes.length - SUM;
    if (
      bytes[0] !== VERSION || end < HEAD || (end - HEAD) % ROW !== 0 ||
      !equals(blake3(bytes.subarray(0, end)).subarray(0, SUM), bytes.subarray(end))
    ) {
      throw new DamageError("pressed NAR", key);
    }
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.fileSize = Number(this.#view.getBigUint64(1, true));
    this.sha256 = bytes.slice(9, HEAD);
    this.count = (end - HEAD) / ROW;
    this.#offsets = new Float64Array(this.count + 1);
    let narSize = 0;
    for (let i = 0; i < this.count; i++) {
      narSize += this.size(i);
      this.#offsets[i + 1] = this.#offsets[i] + this.length(i);
    }
    this.narSize = narSize;
    if (this.#offsets[this.count] !== this.fileSize) throw new DamageError("pressed NAR", key);
  }

  /** Memory held, in bytes, about. */
  get weight(): number {
    return WEIGHT + this.#bytes.length + this.count * WEIGHT_OF_ROW;
  }

  /** The digest of a chunk; only to be read. */
  digest(row: number): Digest {
    return this.#bytes.subarray(HEAD + row * ROW, HEAD + row * ROW + DIGEST_LENGTH);
  }

  /** Bytes of a chunk. */
  size(row: number): number {
    return this.#view.getUint32(HEAD + row * ROW + DIGEST_LENGTH, true);
  }

  /** Bytes of a chunk's frame. */
  length(row: number): number {
    return this.#view.getUint32(HEAD + row * ROW + DIGEST_LENGTH + 4, true);
  }

  /** Where in the file a chunk's frame begins; `count` gives its end. */
  offset(row: number): number {
    return this.#offsets[row];
  }

  /** The chunk in whose frame a byte of the file lies. */
  rowAt(offset: number): number {
    let low = 0;
    let high = this.count;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[middle] <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}
