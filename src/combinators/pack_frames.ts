/**
 * Values of packs that are compressed: each by itself, as one zstd frame, so that it can be handed on as it lies. In a pack stands
 *
 *   value := check(8) frame       check is the first 8 bytes of the BLAKE3 of the frame
 *
 * with the highest bit of its offset set, in the pack's table and in every index. Lengths are of what stands there. What a frame does
 * not make shorter stands plain.
 */
import { type Bytes, equals } from "../bytes/bytes.ts";
import { frameContentSize } from "../bytes/zstd_frame.ts";
import type { FrameDecoder, StoredForm } from "../castore/stored_form.ts";
import { DamageError, FormatError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import { packLengthFor, PackWriter } from "./pack_format.ts";
import { isFrame, type PackEntry } from "./pack_index.ts";

const CHECK = 8;

/** Compresses values for packs. */
export interface FrameEncoder {
  /**
   * What stands in a pack for each value, in order: a frame with its check before it (`sealFrame`); `undefined` for a value that is
   * better kept as it is. The values have to stay as they are until the promise settles. The same values always give the same frames.
   */
  encode(values: readonly Bytes[]): Promise<(Bytes | undefined)[]>;
}

/** What stands in a pack for a value with this frame; `undefined` if that is not shorter than the value, or there is no frame. */
export function sealFrame(frame: Bytes | undefined, value: Bytes): Bytes | undefined {
  if (!frame || CHECK + frame.length >= value.length) return undefined;
  const sealed = new Uint8Array(CHECK + frame.length);
  sealed.set(blake3(frame).subarray(0, CHECK));
  sealed.set(frame, CHECK);
  return sealed;
}

/** Compresses the values of a pack. Resolves to the writer of another one, or to the same if nothing becomes shorter. */
export async function framePack(writer: PackWriter, encoder: FrameEncoder): Promise<PackWriter> {
  const values = writer.entries.map((entry) => writer.value(entry));
  const frames = await encoder.encode(values);
  if (frames.every((frame) => frame === undefined)) return writer;
  const stored = values.map((value, i) => frames[i] ?? value);
  const framed = new PackWriter(new Uint8Array(packLengthFor(writer.entries, stored)));
  writer.entries.forEach(({ key }, i) => framed.add(key, stored[i], frames[i] !== undefined));
  return framed;
}

/** The stored form of what stands in a pack. Throws {@link DamageError} if it is a frame and not what was written. */
export function storedForm(stands: Bytes, entry: Pick<PackEntry, "key" | "offset">): StoredForm {
  if (!isFrame(entry)) return { bytes: stands, frame: false, size: stands.length };
  const frame = stands.subarray(CHECK);
  if (stands.length <= CHECK || !equals(blake3(frame).subarray(0, CHECK), stands.subarray(0, CHECK))) {
    throw damaged(entry.key);
  }
  return { bytes: frame, frame: true, size: contentSize(frame, entry.key) };
}

/** The plain bytes of what stands in a pack. Throws {@link DamageError} if it is a frame that cannot be read. */
export function plainBytes(
  stands: Bytes,
  entry: Pick<PackEntry, "key" | "offset">,
  decoder: FrameDecoder | undefined,
): Bytes {
  if (!isFrame(entry)) return stands;
  if (!decoder) {
    throw new FormatError(
      "zstd",
      `Cannot read ${entry.key}: it is compressed, and this store was opened without a decoder`,
    );
  }
  const frame = stands.subarray(CHECK);
  const size = contentSize(frame, entry.key);
  try {
    return decoder.decode(frame, size);
  } catch (cause) {
    if (cause instanceof FormatError) throw damaged(entry.key, cause);
    throw cause;
  }
}

function contentSize(frame: Bytes, key: string): number {
  try {
    return frameContentSize(frame);
  } catch (cause) {
    throw damaged(key, cause);
  }
}

function damaged(key: string, cause?: unknown): DamageError {
  return new DamageError("value", key, `Cannot read ${key}: its frame is damaged`, { cause });
}
