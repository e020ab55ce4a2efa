/**
 * castore → NAR: the bytes of an archive, or of any stretch of it, from a layout and the blobs. Blobs are asked for ahead of the
 * reader (`nar_parts.ts`), and short ones put together with the words between them into pieces large enough for a socket.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { Joiner } from "../bytes/joiner.ts";
import type { BlobService } from "../castore/blob_service.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import type { NarLayout } from "./nar_layout.ts";
import { NarParts, openSegment, stretchBytes } from "./nar_parts.ts";

/**
 * The bytes of a NAR, or those the range covers (end clamped), in pieces that are only to be read. Fails with
 * `MissingError` or `DamageError` where a blob is not stored, damaged, or not of the length its node says; all
 * pieces before that are right.
 */
export async function* renderNar(
  layout: NarLayout,
  blobs: BlobService,
  range?: ByteRange,
): AsyncGenerator<Bytes, void, void> {
  const joiner = new Joiner();
  const parts = new NarParts(layout.segments(range?.start, range?.end), blobs, {
    ask: (segment) => openSegment(segment, blobs),
  });
  for (let part = parts.next(); part; part = parts.next()) {
    if (part.type === "stretch") {
      for (const bytes of await stretchBytes(part, blobs)) for (const piece of joiner.add(bytes)) yield piece;
    } else {
      for await (const bytes of await part.asked) for (const piece of joiner.add(bytes)) yield piece;
    }
  }
  const last = joiner.end();
  if (last) yield last;
}
