/**
 * The Range header of a GET (RFC 9110, section 14), for one range of bytes:
 *
 *   Range := "bytes=" ( first "-" [ last ] | "-" suffixLength )
 *
 * Another unit, several ranges, or text that is no range are passed over, as the RFC allows: the whole is answered.
 */
import type { ByteRange } from "../castore/byte_store.ts";

/** What to answer: the whole (`undefined`), a range (end not included), or that there is nothing in it. */
export type RangeAnswer = ByteRange | "unsatisfiable" | undefined;

/** Reads a Range header for something of `size` bytes. The last byte is clamped to what there is. */
export function parseRange(header: string | null | undefined, size: number): RangeAnswer {
  const match = /^bytes=(?:(\d{1,16})-(\d{1,16})?|-(\d{1,16}))$/.exec(header?.trim() ?? "");
  if (!match) return undefined;
  const [, first, last, suffix] = match;
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  const start = Number(first);
  if (last !== undefined && Number(last) < start) return undefined;
  if (start >= size) return "unsatisfiable";
  return { start, end: last === undefined ? size : Math.min(Number(last) + 1, size) };
}
