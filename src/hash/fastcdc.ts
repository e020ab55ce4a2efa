/**
 * Content-defined chunking: FastCDC v2020 (Xia and others, "The Design of Fast Content-Defined Chunking for Data
 * Deduplication Based Storage Systems", IEEE TPDS 2020), normalisation level 1, no seed. Two bytes are rolled in at a
 * time; a boundary is where the rolling hash has no bit of the mask set.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { cutPointOver } from "./fastcdc_kernel.ts";
import { plainCutPoint } from "./fastcdc_plain.ts";
import { kernel } from "./wasm/kernel.ts";

/** Bounds of chunk lengths in bytes. */
export interface ChunkSizes {
  /** 64 to 1 MiB. Only the last chunk may be shorter. */
  readonly min: number;
  /** 256 to 4 MiB. */
  readonly average: number;
  /** 1 KiB to 16 MiB. */
  readonly max: number;
}

/** The sizes every castore implementation uses unless told otherwise: 128, 256 and 512 KiB. */
export const DEFAULT_CHUNK_SIZES: ChunkSizes = { min: 131072, average: 262144, max: 524288 };

const findCut = kernel ? cutPointOver(kernel) : plainCutPoint;

/**
 * The length of the first chunk of `bytes`. To get the same chunks as everybody else, `bytes` must hold at least
 * `sizes.max` bytes, or all that remains at the end of the input; bytes past `sizes.max` are not looked at. Zero only
 * for no bytes. Throws `RangeError` for sizes out of bounds or out of order.
 */
export function cutPoint(bytes: Bytes, sizes: ChunkSizes = DEFAULT_CHUNK_SIZES): number {
  if (sizes !== DEFAULT_CHUNK_SIZES) checkSizes(sizes);
  return findCut(bytes, sizes);
}

function checkSizes({ min, average, max }: ChunkSizes): void {
  const inBounds = within(min, 64, 1 << 20) && within(average, 256, 4 << 20) && within(max, 1024, 16 << 20);
  if (!inBounds || min > average || average > max) {
    throw new RangeError(`Cannot cut chunks of min ${min}, average ${average}, max ${max} bytes`);
  }
}

function within(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}
