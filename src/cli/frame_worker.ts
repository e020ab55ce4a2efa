/**
 * A worker that compresses values beside the main thread. It gets the values one after the other in a buffer and their lengths, and
 * gives the buffer back with what stands for them in a pack; a length of 0 says that the value is better kept as it is.
 */
import type { Bytes } from "../bytes/bytes.ts";

/** What is sent, and what comes back. */
export interface FrameBatch {
  readonly buffer: ArrayBuffer;
  readonly lengths: Uint32Array<ArrayBuffer>;
}

/** What is sent: a batch, and the level. */
export interface FrameTask extends FrameBatch {
  readonly level: number;
}

// Imported when asked: modules that take their time to load would let the first message pass by.
onmessage = async ({ data: { buffer, lengths, level } }: MessageEvent<FrameTask>) => {
  const { encodeFrame } = await import("../adapters/native/frames.ts");
  const { sealFrame } = await import("../combinators/pack_frames.ts");
  const bytes: Bytes = new Uint8Array(buffer);
  let from = 0;
  let to = 0;
  for (let i = 0; i < lengths.length; i++) {
    const value = bytes.subarray(from, from + lengths[i]);
    const sealed = sealFrame(encodeFrame(value, level), value);
    from += lengths[i];
    lengths[i] = sealed?.length ?? 0;
    if (!sealed) continue;
    bytes.set(sealed, to); // over values that were read: it is shorter than its value
    to += sealed.length;
  }
  const batch: FrameBatch = { buffer, lengths };
  postMessage(batch, { transfer: [buffer, lengths.buffer] });
};
