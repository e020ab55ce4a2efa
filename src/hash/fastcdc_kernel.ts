/** FastCDC over the kernel. */
import type { ChunkSizes } from "./fastcdc.ts";
import { GEAR, masksFor } from "./gear.ts";
import type { Kernel } from "./wasm/kernel.ts";

/**
 * Gives `cutPoint` over this kernel; the sizes are taken as they are. With `staged` the chunk is at the beginning of the kernel's
 * stage afterwards, which must have room for the longest: bytes are copied there only as far as the search goes.
 */
export function cutPointOver(
  kernel: Kernel,
  staged = false,
): (bytes: Uint8Array, sizes: ChunkSizes) => number {
  const { memory, windowSize, stage } = kernel;
  // Nothing is left in this window between two calls.
  const window = kernel.oneShotState + kernel.windowOffset;
  const gear = new BigUint64Array(memory.buffer, kernel.gear, 2 * GEAR.length);
  gear.set(GEAR);
  gear.set(GEAR.map((value) => value << 1n), GEAR.length);

  /** Rolls in the pairs of bytes from `start` to `end`; gives the offset of the boundary, or -1. */
  function scan(bytes: Uint8Array, start: number, end: number, mask: bigint): number {
    for (let at = start; at < end; at += windowSize) {
      const stop = Math.min(at + windowSize, end);
      const input = staged ? stage + at : window;
      memory.set(bytes.subarray(at, stop), input);
      const found = kernel.scan(input, (stop - at) >>> 1, mask);
      if (found >= 0) return at + found;
    }
    return -1;
  }

  return (bytes, sizes) => {
    if (staged) memory.set(bytes.subarray(0, sizes.min), stage);
    if (bytes.length <= sizes.min) return bytes.length;
    const end = Math.min(bytes.length, sizes.max);
    const center = even(Math.min(sizes.average, end));
    const masks = masksFor(sizes.average);
    kernel.restart();
    let cut = scan(bytes, even(sizes.min), center, masks.small);
    if (cut < 0) cut = scan(bytes, center, even(end), masks.large);
    if (cut >= 0) return cut;
    if (staged && end > even(end)) memory[stage + end - 1] = bytes[end - 1];
    return end;
  };
}

/** Bytes are rolled in by pairs: an odd bound is one less. */
function even(bound: number): number {
  return bound & ~1;
}
