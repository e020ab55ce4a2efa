/** What the kernel hashes where it lies: input is copied into its stage once, and everything is found there. */
import type { Bytes } from "../bytes/bytes.ts";
import { DEFAULT_CHUNK_SIZES } from "./fastcdc.ts";
import { cutPointOver } from "./fastcdc_kernel.ts";
import type { Kernel } from "./wasm/kernel.ts";

const DIGEST_LENGTH = 32;
/** Inputs begin at multiples of this, with zeros before the next one. */
const BLOCK = 64;
/** Bytes in a group, and in its chunks. */
const GROUP = 16 * 1024, CHUNK = 1024;

/** The digest of a chunk, and the values of the blob's groups that lie wholly in it: 32 bytes each, in order. */
export interface ChunkHashes {
  readonly digest: Bytes;
  readonly groups: Bytes;
}

/** What is done in the stage of a kernel. */
export interface KernelStage {
  /** The digests of these inputs, however many, of at most 512 KiB each. */
  digests(inputs: readonly Uint8Array[]): Bytes[];
  /** The length of the first chunk of these bytes, as `cutPoint` gives it, and its hashes. It begins at byte `start` of its blob. */
  cut(ahead: Bytes, start: number): { length: number; hashes: ChunkHashes };
  /** The hashes of a chunk of at most 512 KiB. */
  chunk(bytes: Uint8Array, start: number): ChunkHashes;
}

/** The first whole group of a chunk that begins at byte `start` of its blob, and how many there are. */
export function groupsWithin(start: number, length: number): { first: number; count: number } {
  const first = Math.ceil(start / GROUP);
  return { first, count: Math.max(0, Math.floor((start + length) / GROUP) - first) };
}

export function stageOver(kernel: Kernel): KernelStage {
  const { memory, stage, stageSize, maxInputs, results, inputs } = kernel;
  const words = new Uint32Array(memory.buffer);
  const cutStaged = cutPointOver(kernel, true);

  /** Notes that input number `index` lies at this offset, and makes the rest of its last block zeros. */
  function note(index: number, offset: number, length: number): number {
    words[(inputs >> 2) + 4 * index] = offset;
    words[(inputs >> 2) + 4 * index + 1] = length;
    const next = offset + Math.max(BLOCK, Math.ceil(length / BLOCK) * BLOCK);
    memory.fill(0, stage + offset + length, stage + next);
    return next;
  }

  function copyResults(count: number): Bytes {
    return memory.slice(results, results + DIGEST_LENGTH * count);
  }

  /** Hashes as many inputs from `first` on as there is room for, one at least. */
  function some(all: readonly Uint8Array[], first: number, digests: Bytes[]): void {
    let count = 0;
    for (let at = 0; count < maxInputs && first + count < all.length; count++) {
      const input = all[first + count];
      if (at + Math.max(input.length, BLOCK) > stageSize) break;
      memory.set(input, stage + at);
      at = note(count, at, input.length);
    }
    kernel.hashInputs(count);
    const found = copyResults(count);
    for (let i = 0; i < count; i++) digests.push(found.subarray(DIGEST_LENGTH * i, DIGEST_LENGTH * (i + 1)));
  }

  /** The hashes of what lies at the beginning of the stage. */
  function hashStaged(start: number, length: number): ChunkHashes {
    const { first, count } = groupsWithin(start, length);
    kernel.groupValues(stage + first * GROUP - start, count, first * (GROUP / CHUNK));
    const groups = copyResults(count);
    note(0, 0, length);
    kernel.hashInputs(1);
    return { digest: copyResults(1), groups };
  }

  return {
    digests(all) {
      const digests: Bytes[] = [];
      while (digests.length < all.length) some(all, digests.length, digests);
      return digests;
    },
    cut(ahead, start) {
      const length = cutStaged(ahead, DEFAULT_CHUNK_SIZES);
      return { length, hashes: hashStaged(start, length) };
    },
    chunk(bytes, start) {
      memory.set(bytes, stage);
      return hashStaged(start, bytes.length);
    },
  };
}
