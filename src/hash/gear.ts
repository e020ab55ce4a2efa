/**
 * The constants of FastCDC v2020 with normalisation level 1, as the `fastcdc` crate has them: chunk boundaries must
 * equal those of other castore implementations.
 *
 *   GEAR[i]   the first 8 bytes, big-endian, of the MD5 of 64 bytes that are each i
 *   MASKS[n]  n bits set, spread over the low 48
 */
import { createMD5 } from "hash-wasm";

const md5 = await createMD5();

/** 256 unsigned 64-bit numbers, one for each byte value. */
export const GEAR: BigUint64Array = BigUint64Array.from({ length: 256 }, (_, byte) => {
  const digest = md5.init().update(new Uint8Array(64).fill(byte)).digest("binary");
  return new DataView(digest.buffer, digest.byteOffset).getBigUint64(0);
});

/** MASKS[5] to MASKS[25]; the first five are not used. */
// deno-fmt-ignore
const MASKS = [
  0n, 0n, 0n, 0n, 0n,
  0x1804110n, 0x1803110n, 0x18035100n, 0x1800035300n, 0x19000353000n, 0x590003530000n, 0xd90003530000n,
  0xd90103530000n, 0xd90303530000n, 0xd90313530000n, 0xd90f03530000n, 0xd90303537000n, 0xd90703537000n,
  0xd90707537000n, 0xd91707537000n, 0xd91747537000n, 0xd91767537000n, 0xd93767537000n, 0xd93777537000n,
  0xd93777577000n, 0xdb3777577000n,
];

/** The masks for an average chunk size: `small` (harder to meet) before the average is reached, `large` after. */
export function masksFor(average: number): { small: bigint; large: bigint } {
  const bits = Math.round(Math.log2(average));
  return { small: MASKS[bits + 1], large: MASKS[bits - 1] };
}
