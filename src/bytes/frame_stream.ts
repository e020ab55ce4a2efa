/** Frames of zstd (`zstd_frame.ts`) that come one after the other in a stream, however it is cut. */
import { type Bytes, EMPTY } from "./bytes.ts";
import { FormatError } from "../errors.ts";
import { FrameScan } from "./zstd_frame.ts";

/**
 * Each frame, in one piece, which may be a view of what came. At most `most` bytes of one are taken, and a few MiB held. Throws
 * `FormatError` where there is no frame, for one that is longer, and where the last one is cut off.
 */
export async function* wholeFrames(
  source: AsyncIterable<Bytes>,
  most: number,
): AsyncGenerator<Bytes, void, void> {
  let held = EMPTY;
  let length = 0;
  let scan = new FrameScan();
  for await (let piece of source) {
    while (piece.length > 0) {
      if (length + piece.length > held.length) {
        const room = new Uint8Array(Math.max(length + piece.length, Math.min(2 * length, most)));
        room.set(held.subarray(0, length));
        held = room;
      }
      held.set(piece, length);
      length += piece.length;
      const end = scan.end(held.subarray(0, length));
      if ((end ?? scan.reached) > most) {
        throw new FormatError("zstd", `Cannot read a zstd frame: it has more than ${most} bytes`);
      }
      if (end === undefined || end > length) break;
      yield held.subarray(0, end);
      piece = piece.subarray(piece.length - (length - end));
      held = EMPTY;
      length = 0;
      scan = new FrameScan();
    }
  }
  if (length > 0) throw new FormatError("zstd", "Cannot read a zstd frame: it ends early");
}
