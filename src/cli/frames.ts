/** The zstd frames of a store: who reads them, and who makes them. */
import { NativeEncoder, nativeFrames } from "../adapters/native/frames.ts";
import type { Bytes } from "../bytes/bytes.ts";
import type { FrameDecoder } from "../castore/stored_form.ts";
import { type FrameEncoder, sealFrame } from "../combinators/pack_frames.ts";
import { FrameWorkers } from "./frame_workers.ts";

/** Frames of less content are read by zstd as WebAssembly, which keeps its context: 5 µs for 1 KiB, and `node:zlib` takes 15. */
const SHORT = 32 * 1024;

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
    decoder: new Decoder(),
    encoder: workers ?? (options && hereAt(options.level)),
    [Symbol.asyncDispose]: async () => await workers?.[Symbol.asyncDispose](),
  };
}

/** Short frames by one decoder, long ones by the other. */
class Decoder implements FrameDecoder {
  #short: FrameDecoder = nativeFrames;
  #asked = false;

  decode(frame: Bytes, size: number): Bytes {
    if (size >= SHORT) return nativeFrames.decode(frame, size);
    if (!this.#asked) this.#loadShort();
    return this.#short.decode(frame, size);
  }

  /** Loaded at the first frame: a store without any needs none. */
  #loadShort(): void {
    this.#asked = true;
    import("../adapters/codecs/frame_decoder.ts").then(({ openFrameDecoder }) => openFrameDecoder()).then(
      (decoder) => this.#short = decoder,
      () => {}, // the other one reads all of them
    );
  }
}

function hereAt(level: number): FrameEncoder {
  const encoder = new NativeEncoder(level);
  return {
    encode: async (values: readonly Bytes[]) => {
      const frames = await encoder.encode(values);
      return frames.map((frame, i) => sealFrame(frame, values[i]));
    },
  };
}
