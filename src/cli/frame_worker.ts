/**
 * A worker that compresses values beside the main thread. It gets the values one after the other in a buffer and their lengths, and
 * gives the buffer back with what stands for them in a pack; a length of 0 says that the value is better kept as it is.
 */
import type { NativeEncoder } from "../adapters/native/frames.ts";
import type { Bytes } from "../bytes/bytes.ts";

/** What is sent, and what comes back. */
export interface FrameBatch {
  readonly buffer: ArrayBuffer;
  readonly lengths: Uint32Array<ArrayBuffer>;
}

/** What is sent: a batch, and the level, which is the same each time. */
export interface FrameTask extends FrameBatch {
  readonly level: number;
}

// Loaded meanwhile: a module that waits for others before it listens would let the first message pass by.
const loaded = Promise.all([import("../adapters/native/frames.ts"), import("../combinators/pack_frames.ts")]);
let encoder: NativeEncoder | undefined;

onmessage = async ({ data: { buffer, lengths, level } }: MessageEvent<FrameTask>) => {
  const [{ NativeEncoder }, { sealFrame }] = await loaded;
  encoder ??= new NativeEncoder(level);
  const bytes: Bytes = new Uint8Array(buffer);
  let from = 0;
  const values = Array.from(lengths, (length) => bytes.subarray(from, from += length));
  const frames = await encoder.encode(values);
  let to = 0;
  values.forEach((value, i) => {
    const sealed = sealFrame(frames[i], value);
    lengths[i] = sealed?.length ?? 0;
    if (!sealed) return;
    bytes.set(sealed, to); // over values that were read: it is shorter than its value
    to += sealed.length;
  });
  const batch: FrameBatch = { buffer, lengths };
  postMessage(batch, { transfer: [buffer, lengths.buffer] });
};
