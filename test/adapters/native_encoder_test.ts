// Frames of `node:zlib`: what is in them is what was put in, whatever was compressed before, and the same each time.
import assert from "node:assert/strict";
import { openFrameDecoder } from "../../src/adapters/codecs/frame_decoder.ts";
import { NativeEncoder, nativeFrames } from "../../src/adapters/native/frames.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { frameContentSize } from "../../src/bytes/zstd_frame.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { testNeeding, zstd } from "../needs.ts";

/** Values of all lengths there are short ways for, some of them alike, some random, some a mixture, in an order of chance. */
function values(count: number): Bytes[] {
  const words = new TextEncoder().encode(
    "some words that stand here again and again, and others\n".repeat(1000),
  );
  return Array.from({ length: count }, (_, i) => {
    const length = Math.floor(2 ** (Math.random() * 15));
    const value: Bytes = words.slice(i % 50, i % 50 + length);
    crypto.getRandomValues(value.subarray(0, [0, length, length >> 1, length >> 3][i % 4]));
    return value;
  });
}

/** Lengths at which something changes: what is tried, how the size is written, which way is taken. */
const EDGES = [0, 1, 63, 64, 65, 254, 255, 256, 257, 511, 512, 8191, 8192, 8193, 65_791, 65_792, 65_793]
  .map((length) => new Uint8Array(length).fill(120));

for (const level of [1, 2, 3, 4]) {
  Deno.test(`frames of node:zlib, level ${level}: what is in them is the value`, async () => {
    using encoder = new NativeEncoder(level);
    const decoder = await openFrameDecoder();
    for (const all of [EDGES, values(3000)]) {
      for (const [i, frame] of (await encoder.encode(all)).entries()) {
        if (!frame) continue;
        assert.ok(frame.length < all[i].length);
        assert.equal(frameContentSize(frame), all[i].length);
        for (const each of [nativeFrames, decoder]) {
          sameBytes(each.decode(frame, all[i].length), all[i], `${all[i].length} bytes`);
        }
      }
    }
    const compressed = (await encoder.encode(EDGES)).map((frame) => frame !== undefined);
    assert.deepEqual(compressed, EDGES.map(({ length }) => length >= 64));
  });

  Deno.test(`frames of node:zlib, level ${level}: the same each time, whatever was before`, async () => {
    using encoder = new NativeEncoder(level);
    const all = values(1000);
    const frames = await encoder.encode(all);
    using other = new NativeEncoder(level);
    const backwards = await other.encode(all.toReversed());
    for (const [i, frame] of frames.entries()) {
      sameBytes(backwards.at(-1 - i), frame, `${all[i].length} bytes`);
    }
    const together = await Promise.all(
      [all.slice(0, 300), all.slice(300)].map((some) => encoder.encode(some)),
    );
    for (const [i, frame] of together.flat().entries()) sameBytes(frame, frames[i], `${all[i].length} bytes`);
    for (const i of all.keys().take(50)) {
      using alone = new NativeEncoder(level);
      sameBytes((await alone.encode([all[i]]))[0], frames[i], `${all[i].length} bytes, alone`);
    }
  });
}

testNeeding(zstd)("frames of node:zlib: zstd reads them, one after the other", async () => {
  using encoder = new NativeEncoder(1);
  const all = values(500);
  const frames = await encoder.encode(all);
  const child = new Deno.Command("zstd", { args: ["-d"], stdin: "piped", stdout: "piped" }).spawn();
  const output = child.output();
  await ReadableStream.from(frames.filter((frame) => frame !== undefined)).pipeTo(child.stdin);
  const { success, stdout } = await output;
  assert.ok(success);
  const want = all.filter((_, i) => frames[i]);
  sameBytes(stdout, new Uint8Array(await new Blob(want).arrayBuffer()));
});
