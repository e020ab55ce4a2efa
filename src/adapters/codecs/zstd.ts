/**
 * Decompresses streams of zstd without `node:zlib`, by zstd as WebAssembly, checksums included. Where frames begin and end, and how
 * much history they ask for, is found before (`zstd_frames.ts`), so that a stream that is cut off is noticed, and none allocates more
 * than it may.
 *
 * Each stream has an instance, and so a memory, of its own; the few that are idle and small wait for the next stream.
 *
 * Measured in a worker of Chromium: 320 to 620 MB/s, also with a history of 128 MiB; fzstd, without checksums, 15 to 130 MB/s.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { FormatError } from "../../errors.ts";
import { readFrames } from "./zstd_frames.ts";
import { loadZstd, Zstd } from "./zstd_wasm.ts";

const INPUT = 64 * 1024;
const OUTPUT = 256 * 1024;

/** An idle instance is kept if its memory is not larger than that of streams as they are usually made. */
const IDLE_INSTANCES = 4;
const IDLE_MEMORY = 32 * 1024 * 1024;
const idle: StreamDecoder[] = [];

/** The bytes that were compressed. */
export async function* decompressZstd(input: AsyncGenerator<Bytes>): AsyncGenerator<Bytes, void, void> {
  try {
    const decoder = idle.pop() ?? new StreamDecoder(await loadZstd());
    for await (const { bytes, skippable } of readFrames(input)) {
      if (skippable) continue;
      for (let at = 0; at < bytes.length; at += INPUT) {
        decoder.take(bytes.subarray(at, at + INPUT));
        for (let piece = decoder.next(); piece; piece = decoder.next()) if (piece.length > 0) yield piece;
      }
    }
    // One that was left in the middle of a frame, or found a fault, is not used again.
    if (idle.length < IDLE_INSTANCES && decoder.memoryLength <= IDLE_MEMORY) idle.push(decoder);
  } finally {
    await input.return(undefined);
  }
}

/** Fields of `ZSTD_inBuffer` and `ZSTD_outBuffer`, as offsets. */
const ADDRESS = 0, SIZE = 4, POSITION = 8;
const BUFFER_LENGTH = 12;
/** Of the faults, the one that is not the input's. */
const NO_MEMORY = -64;

/** An instance with a context, and the two buffers it works on. */
class StreamDecoder {
  readonly #zstd: Zstd;
  readonly #context: number;
  readonly #from: number;
  readonly #to: number;
  readonly #input: number;
  readonly #output: number;
  /** Whether there may be more to give, of what was taken. */
  #more = false;

  constructor(module: WebAssembly.Module) {
    this.#zstd = new Zstd(module);
    this.#context = this.#zstd.calls.ZSTD_createDCtx();
    this.#from = this.#zstd.allocate(INPUT);
    this.#to = this.#zstd.allocate(OUTPUT);
    this.#input = this.#zstd.allocate(BUFFER_LENGTH);
    this.#output = this.#zstd.allocate(BUFFER_LENGTH);
  }

  get memoryLength(): number {
    return this.#zstd.memory.length;
  }

  /** Takes input, at most {@link INPUT} bytes; all that was taken before must have been given. */
  take(bytes: Bytes): void {
    this.#zstd.memory.set(bytes, this.#from);
    this.#set(this.#input, this.#from, bytes.length);
    this.#more = true;
  }

  /** What comes next of the input taken, which may be nothing; `undefined` when that was all. */
  next(): Bytes | undefined {
    if (!this.#more) return undefined;
    this.#set(this.#output, this.#to, OUTPUT);
    const left = this.#zstd.calls.ZSTD_decompressStream(this.#context, this.#output, this.#input);
    if (left === NO_MEMORY) throw new RangeError("Cannot decompress zstd: no memory for its history");
    if (left < 0) throw new FormatError("zstd", "Cannot decompress zstd: it is corrupt");
    const view = this.#view;
    const length = view.getUint32(this.#output + POSITION, true);
    const taken = view.getUint32(this.#input + POSITION, true);
    this.#more = taken < view.getUint32(this.#input + SIZE, true) || (left > 0 && length === OUTPUT);
    return this.#zstd.memory.slice(this.#to, this.#to + length);
  }

  get #view(): DataView {
    return new DataView(this.#zstd.calls.memory.buffer);
  }

  #set(buffer: number, address: number, size: number): void {
    const view = this.#view;
    view.setUint32(buffer + ADDRESS, address, true);
    view.setUint32(buffer + SIZE, size, true);
    view.setUint32(buffer + POSITION, 0, true);
  }
}
