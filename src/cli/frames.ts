/** The zstd frames of a store: who reads them, and who makes them. */
import { encodeFrame, nativeFrames } from "../adapters/native/frames.ts";
import type { Bytes } from "../bytes/bytes.ts";
import type { FrameDecoder, FrameEncoder } from "../castore/stored_form.ts";
import { FrameWorkers } from "./frame_workers.ts";

/** How frames are made. */
export interface FrameOptions {
  /** Level of zstd, 1 to 19. */
  readonly level: number;
  /** Threads that compress beside the main one; 0: the main one does. */
  readonly workers: number;
}

/** What a store of packs is given. Disposing it ends the workers. */
export interface Frames extends AsyncDisposable {
  readonly decoder: FrameDecoder;
  readonly encoder?: FrameEncoder;
}

/** @param options `undefined`: nothing is compressed, and what was is read */
export function openFrames(options: FrameOptions | undefined): Frames {
  const workers = options && options.workers > 0
    ? new FrameWorkers(options.workers, options.level)
    : undefined;
  return {
    decoder: nativeFrames,
    encoder: workers ?? (options && hereAt(options.level)),
    [Symbol.asyncDispose]: async () => await workers?.[Symbol.asyncDispose](),
  };
}

function hereAt(level: number): FrameEncoder {
  return {
    encode: (values: readonly Bytes[]) => Promise.resolve(values.map((value) => encodeFrame(value, level))),
  };
}
