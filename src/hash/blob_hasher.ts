/** Hashing a blob chunk by chunk: each chunk's digest, and in the same pass the blob's own and its outboard. */
import { type Bytes, EMPTY } from "../bytes/bytes.ts";
import { type BaoShape, groupLength } from "./bao_tree.ts";
import type { BlobHashes, ChunkHashes } from "./blob_hashes.ts";
import { blake3, createBlake3 } from "./blake3.ts";
import { CHUNK_LENGTH, subtreeValue } from "./blake3_tree.ts";
import { GroupValues } from "./group_values.ts";
import { groupsWithin } from "./kernel_stage.ts";

const SHAPE: BaoShape = {};
const GROUP = groupLength(SHAPE);

/** A blob whose chunks come in order. It holds 32 bytes for each group of 16 KiB, and the bytes of one. */
export class BlobHasher {
  #hashes: BlobHashes;
  #size = 0;
  #chunks = 0;
  #first: Bytes | Promise<Bytes> | undefined;
  /** What is hashed elsewhere. */
  #waiting = new Set<Promise<unknown>>();
  #failure: { error: unknown } | undefined;
  #values = new GroupValues();
  /** The beginning of a group whose end is in the chunks to come. */
  #edge: Bytes = new Uint8Array(GROUP);
  /** Where values of groups do not come with the chunks: the digest of the whole. */
  #whole;

  constructor(hashes: BlobHashes) {
    this.#hashes = hashes;
    this.#whole = hashes.groups ? undefined : createBlake3();
  }

  /** Cuts the next chunk off what is ahead: its length, and its digest, which may be a promise. The bytes are read at once. */
  cut(ahead: Bytes): { length: number; digest: Bytes | Promise<Bytes> } {
    const start = this.#size;
    const { length, hashes } = this.#hashes.cut(ahead, start);
    const chunk = ahead.subarray(0, length);
    this.#size += length;
    if (this.#whole) this.#whole.update(chunk);
    else this.#joinEdges(chunk, start);
    const digest = hashes instanceof Promise
      ? this.#follow(hashes, start, length)
      : this.#note(hashes, start, length);
    if (this.#chunks++ === 0) this.#first = digest;
    return { length, digest };
  }

  /** The blob's digest, and its outboard where it has several chunks and values of groups came with them. */
  async end(): Promise<{ digest: Bytes; size: number; outboard: Bytes | undefined }> {
    await Promise.all(this.#waiting);
    if (this.#failure) throw this.#failure.error;
    const size = this.#size;
    if (this.#chunks === 0) return { digest: blake3(EMPTY), size, outboard: undefined };
    if (this.#chunks === 1) return { digest: await this.#first!, size, outboard: undefined };
    if (this.#whole) return { digest: this.#whole.digest(), size, outboard: undefined };
    const groups = Math.ceil(size / GROUP);
    if (size % GROUP > 0) this.#endGroup(groups - 1, size % GROUP);
    return { ...this.#values.merge(groups), size };
  }

  /** Notes the hashes of a chunk; gives its digest. */
  #note({ digest, groups }: ChunkHashes, start: number, length: number): Bytes {
    this.#values.set(groupsWithin(start, length).first, groups);
    return digest;
  }

  #follow(hashes: Promise<ChunkHashes>, start: number, length: number): Promise<Bytes> {
    const digest = hashes.then((hashes) => this.#note(hashes, start, length));
    const followed = digest.then(() => {}, (error) => {
      this.#failure ??= { error }; // who waits for the digest hears of it too, if somebody does
    }).then(() => {
      this.#waiting.delete(followed);
    });
    this.#waiting.add(followed);
    return digest;
  }

  /** Groups of which one chunk has the beginning and another the end are put together here. */
  #joinEdges(chunk: Bytes, start: number): void {
    const fill = start % GROUP;
    const head = fill === 0 ? 0 : Math.min(GROUP - fill, chunk.length);
    if (head > 0) {
      this.#edge.set(chunk.subarray(0, head), fill);
      if (fill + head < GROUP) return;
      this.#endGroup((start - fill) / GROUP, GROUP);
    }
    this.#edge.set(chunk.subarray(chunk.length - (chunk.length - head) % GROUP));
  }

  #endGroup(index: number, length: number): void {
    const value = subtreeValue(this.#edge.subarray(0, length), index * (GROUP / CHUNK_LENGTH));
    this.#values.set(index, value);
  }
}
