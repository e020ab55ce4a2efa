/**
 * FastCDC without the kernel. JavaScript has no fast 64-bit integer, so the rolling hash is kept as two halves of 32
 * bits.
 */
import type { ChunkSizes } from "./fastcdc.ts";
import { GEAR, masksFor } from "./gear.ts";

const LOW = Uint32Array.from(GEAR, (value) => Number(value & 0xffffffffn));
const HIGH = Uint32Array.from(GEAR, (value) => Number(value >> 32n));

/** As `cutPoint`; the sizes are taken as they are. */
export function plainCutPoint(bytes: Uint8Array, sizes: ChunkSizes): number {
  if (bytes.length <= sizes.min) return bytes.length;
  const end = Math.min(bytes.length, sizes.max);
  const center = Math.min(sizes.average, end);
  const masks = masksFor(sizes.average);
  const state = { low: 0, high: 0 };
  return scan(bytes, sizes.min >>> 1, center >>> 1, masks.small, state) ??
    scan(bytes, center >>> 1, end >>> 1, masks.large, state) ?? end;
}

/** Rolls in the pairs of bytes from `pair` to `endPair`; stops at a boundary and gives its offset. */
function scan(
  bytes: Uint8Array,
  pair: number,
  endPair: number,
  mask: bigint,
  state: { low: number; high: number },
): number | undefined {
  const maskLow = Number(mask & 0xffffffffn), maskHigh = Number(mask >> 32n);
  const doubledLow = Number(mask << 1n & 0xffffffffn), doubledHigh = Number(mask << 1n >> 32n);
  let { low, high } = state;
  for (; pair < endPair; pair++) {
    const first = bytes[2 * pair], second = bytes[2 * pair + 1];
    // h = (h << 2) + (GEAR[first] << 1)
    let before = low << 2;
    high = high << 2 | low >>> 30;
    low = before + (LOW[first] << 1) | 0;
    high = high + (HIGH[first] << 1 | LOW[first] >>> 31) + carry(before, low) | 0;
    if ((low & doubledLow) === 0 && (high & doubledHigh) === 0) return 2 * pair;
    // h = h + GEAR[second]
    before = low;
    low = before + LOW[second] | 0;
    high = high + HIGH[second] + carry(before, low) | 0;
    if ((low & maskLow) === 0 && (high & maskHigh) === 0) return 2 * pair + 1;
  }
  state.low = low;
  state.high = high;
}

/** What the low half's sum carries over: it is less than what it was before where it has wrapped. */
function carry(before: number, sum: number): number {
  return (sum >>> 0) < (before >>> 0) ? 1 : 0;
}
