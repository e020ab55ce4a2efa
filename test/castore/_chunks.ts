/** The chunks that a blob is cut into. */
import type { Bytes } from "../../src/bytes/bytes.ts";
import { cutPoint } from "../../src/hash/fastcdc.ts";

/** The chunks of a blob in memory, as views of it. */
export function* chunksOf(bytes: Bytes): Generator<Bytes, void, void> {
  for (let at = 0; at < bytes.length;) {
    const length = cutPoint(bytes.subarray(at));
    yield bytes.subarray(at, at + length);
    at += length;
  }
}
