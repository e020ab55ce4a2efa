/** The file of a pressed NAR, or any stretch of it: the frames that are stored, one after the other. */
import { rawFrame, rawFrameLength } from "../bytes/zstd_frame.ts";
import type { Bytes } from "../bytes/bytes.ts";
import { Joiner } from "../bytes/joiner.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import { formatDigest } from "../castore/digest.ts";
import type { StoredForm } from "../castore/stored_form.ts";
import { DamageError, MissingError } from "../errors.ts";
import type { PressedNar } from "./pressed_nar.ts";
import { frameOf, storedChunks, type StoringBlobs } from "./stored_chunks.ts";

/**
 * The bytes of the file, or those the range covers (end clamped), in pieces that are only to be read. Nothing is compressed or
 * decompressed. Fails with {@link MissingError} or {@link DamageError} where a chunk is not stored, is damaged, or is stored with a
 * frame of another length than the record says; all pieces before that are right.
 */
export async function* renderPressed(
  pressed: PressedNar,
  blobs: StoringBlobs,
  range: ByteRange = { start: 0, end: pressed.fileSize },
): AsyncGenerator<Bytes, void, void> {
  const end = Math.min(range.end, pressed.fileSize);
  if (range.start >= end) return;
  const joiner = new Joiner();
  const [first, last] = [pressed.rowAt(range.start), pressed.rowAt(end - 1)];
  for await (const { first: from, forms } of storedChunks(pressed, first, last + 1, blobs)) {
    for (let i = 0; i < forms.length; i++) {
      const row = from + i;
      const frame = recorded(forms[i], pressed, row) ?? await plainFrame(pressed, row, blobs);
      const offset = pressed.offset(row);
      const part = row === first || row === last
        ? frame.subarray(Math.max(0, range.start - offset), Math.min(frame.length, end - offset))
        : frame;
      for (const piece of joiner.add(part)) yield piece;
    }
  }
  const rest = joiner.end();
  if (rest) yield rest;
}

/** The frame of a chunk; `undefined` for one that was stored plain when the NAR was pressed, and has become shorter since. */
function recorded(form: StoredForm, pressed: PressedNar, row: number): Bytes | undefined {
  const length = pressed.length(row);
  const frame = frameOf(form);
  if (frame.length === length) return frame;
  if (form.frame && length === rawFrameLength(form.size)) return undefined;
  const name = formatDigest(pressed.digest(row));
  throw new DamageError(
    "chunk",
    name,
    `Cannot use chunk ${name}: its frame has ${frame.length} bytes, and had ${length} when the NAR was pressed`,
  );
}

async function plainFrame(pressed: PressedNar, row: number, blobs: StoringBlobs): Promise<Bytes> {
  const digest = pressed.digest(row);
  const reader = await blobs.open(digest);
  if (!reader) throw new MissingError("chunk", formatDigest(digest));
  return rawFrame(await reader.bytes());
}
