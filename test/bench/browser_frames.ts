/** How fast frames of zstd, and a stream of them, are decompressed, in a worker of a browser. What is measured lies at the page's server. */
import { openFrameDecoder } from "../../src/adapters/codecs/frame_decoder.ts";
import { decompressZstd } from "../../src/adapters/codecs/zstd.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { iterate } from "../../src/bytes/streams.ts";
import { frameContentSize, frameLength } from "../../src/bytes/zstd_frame.ts";
import type { BenchRow } from "./browser_measure.ts";

/** Contents of frames, in bytes: a small file, a usual one, a run of small ones in a pressed NAR, and a chunk. */
export const FRAME_SIZES = [1024, 4096, 65_536, 262_144];
/** Where the page's server has the frames of a size, one after the other, and a stream of one frame. */
export const framesAt = (size: number): string => `/frames/${size}`;
export const STREAM_AT = "/frames/stream";

/** Milliseconds for each row. */
const PATIENCE = 1000;
const PIECE = 64 * 1024;

async function fetched(path: string): Promise<Bytes> {
  const answer = await fetch(new URL(path, location.origin));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return await answer.bytes() as Bytes;
}

/** Measures one row after the other, and tells each. */
export async function measureFrames(tell: (row: BenchRow) => void): Promise<void> {
  const decoder = await openFrameDecoder();
  for (const size of FRAME_SIZES) {
    const all = await fetched(framesAt(size));
    const frames: Bytes[] = [];
    for (let at = 0; at < all.length; at += frames.at(-1)!.length) {
      frames.push(all.subarray(at, at + frameLength(all.subarray(at))));
    }
    let bytes = 0;
    const start = performance.now();
    for (let i = 0; performance.now() - start < PATIENCE; i++) {
      const frame = frames[i % frames.length];
      bytes += decoder.decode(frame, frameContentSize(frame)).length;
    }
    const seconds = (performance.now() - start) / 1000;
    tell({ name: `frames/${size}`, unit: "MB/s", value: bytes / 1e6 / seconds });
  }
  const stream = await fetched(STREAM_AT);
  let bytes = 0;
  const start = performance.now();
  const pieces = async function* () {
    for (let at = 0; at < stream.length; at += PIECE) yield await stream.subarray(at, at + PIECE);
  };
  while (performance.now() - start < PATIENCE) {
    for await (const piece of decompressZstd(iterate(pieces()))) bytes += piece.length;
  }
  tell({ name: "zstd", unit: "MB/s", value: bytes / 1e6 / ((performance.now() - start) / 1000) });
}
