/**
 * What a store hashes: whole blobs, and the chunks of a blob together with the groups of its outboard (`bao_tree.ts`). In this
 * thread, or by a pool of workers (`hash_pool.ts`); the results are the same.
 */
import { type Bytes, EMPTY } from "../bytes/bytes.ts";
import { blake3 } from "./blake3.ts";
import { cutPoint, DEFAULT_CHUNK_SIZES } from "./fastcdc.ts";
import { type ChunkHashes, stageOver } from "./kernel_stage.ts";
import { kernel } from "./wasm/kernel.ts";

export type { ChunkHashes } from "./kernel_stage.ts";

/**
 * - Bytes are read before a call returns, also where it returns a promise: the caller may use them again.
 * - A promise is given only where others hash meanwhile. It may fail, when they do.
 */
export interface BlobHashes {
  /** Whether chunks come with the values of groups. Without the kernel they would take twenty times as long. */
  readonly groups: boolean;
  /** The digests of these blobs. */
  digests(blobs: readonly Bytes[]): Bytes[] | Promise<Bytes[]>;
  /**
   * The length of the next chunk of a blob, as `cutPoint` gives it for the bytes that are `ahead`, and its hashes. The chunk begins
   * at byte `start` of the blob.
   */
  cut(ahead: Bytes, start: number): { length: number; hashes: ChunkHashes | Promise<ChunkHashes> };
}

function plainCut(ahead: Bytes): { length: number; hashes: ChunkHashes } {
  const length = cutPoint(ahead);
  return { length, hashes: { digest: blake3(ahead.subarray(0, length)), groups: EMPTY } };
}

/** The longest chunk, and what is hashed at once at most: 512 KiB. */
export const MOST_AT_ONCE = DEFAULT_CHUNK_SIZES.max;

/** The kernel's stage, where there is a kernel. */
export const stage = kernel && stageOver(kernel);

function digests(blobs: readonly Bytes[]): Bytes[] {
  return stage && blobs.every(({ length }) => length <= MOST_AT_ONCE)
    ? stage.digests(blobs)
    : blobs.map(blake3);
}

/** Hashes in this thread. Gives no promises. */
export const ownHashes = {
  groups: stage !== undefined,
  digests,
  cut: stage?.cut ?? plainCut,
} satisfies BlobHashes;
