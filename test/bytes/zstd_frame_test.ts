// Frames of zstd in streams: found whole, however the stream is cut, and never longer than they may be.
import assert from "node:assert/strict";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { type Bytes, concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { wholeFrames } from "../../src/bytes/frame_stream.ts";
import {
  frameContentSize,
  frameLength,
  MOST_SIZED,
  rawFrame,
  sizedFrame,
} from "../../src/bytes/zstd_frame.ts";
import { FormatError } from "../../src/errors.ts";

const SENTENCE = fromText("some words that stand here again and again\n");

function compressed(content: Bytes): Bytes {
  const options = { pledgedSrcSize: content.length, chunkSize: content.length + 1024 };
  return new Uint8Array(zstdCompressSync(content, options));
}

const FRAMES = [
  rawFrame(EMPTY),
  compressed(SENTENCE),
  rawFrame(new Uint8Array(300_000).fill(7)),
  compressed(new Uint8Array(400_000)), // blocks of one byte repeated
  compressed(concat(Array.from({ length: 8000 }, () => SENTENCE))),
  rawFrame(SENTENCE),
];
const MOST = 310_000;

async function* cut(bytes: Bytes, length: number): AsyncGenerator<Bytes, void, void> {
  for (let at = 0; at < bytes.length; at += length) yield await bytes.subarray(at, at + length);
}

Deno.test("frames of a stream are found whole, however it is cut", async () => {
  const stream = concat(FRAMES);
  for (const length of [1, 2, 3, 7, 1000, 65_536, stream.length]) {
    const source = length < 7 ? concat([FRAMES[1], FRAMES[0], FRAMES[3], FRAMES[5]]) : stream;
    const wanted = length < 7 ? [FRAMES[1], FRAMES[0], FRAMES[3], FRAMES[5]] : FRAMES;
    const frames = await Array.fromAsync(wholeFrames(cut(source, length), MOST));
    assert.deepEqual(frames.map(frameContentSize), wanted.map(frameContentSize));
    assert.ok(frames.every((frame, i) => frame.every((byte, at) => byte === wanted[i][at])), `by ${length}`);
  }
  assert.deepEqual(await Array.fromAsync(wholeFrames(cut(EMPTY, 1), MOST)), []);
});

Deno.test("a stream that ends within a frame, or goes on with anything else, is a FormatError", async () => {
  const stream = concat([FRAMES[1], FRAMES[5]]);
  for (let length = 1; length < stream.length; length++) {
    if (length === FRAMES[1].length) continue;
    await assert.rejects(
      Array.fromAsync(wholeFrames(cut(stream.subarray(0, length), 9), MOST)),
      FormatError,
    );
  }
  for (const tail of [Uint8Array.of(1, 2, 3, 4, 5, 6, 7), SENTENCE]) {
    await assert.rejects(Array.fromAsync(wholeFrames(cut(concat([stream, tail]), 9), MOST)), FormatError);
  }
});

Deno.test("a frame longer than allowed is refused before it is all there", async () => {
  let given = 0;
  const endless = async function* () {
    yield await rawFrame(new Uint8Array(128 * 1024)).subarray(0, 9);
    const block = new Uint8Array(3 + 128 * 1024);
    block.set([0, 0, 0x10]); // raw, 128 KiB, and not the last
    for (;; given += block.length) yield block;
  };
  await assert.rejects(Array.fromAsync(wholeFrames(endless(), MOST)), /more than 310000 bytes/);
  assert.ok(given <= MOST, `${given} bytes were taken`);
});

Deno.test("the length of a frame is that of the frame alone", () => {
  for (const frame of FRAMES) assert.equal(frameLength(concat([frame, SENTENCE])), frame.length);
  for (const frame of [FRAMES[1], FRAMES[5]]) {
    for (let length = 0; length < frame.length; length++) {
      assert.throws(() => frameLength(frame.subarray(0, length)), FormatError);
    }
  }
});

Deno.test("a frame that tells a window gets its content size", () => {
  // Without the size being told before, node:zlib leaves it out.
  for (const length of [10, 43, 255, 256, 257, 5000, MOST_SIZED]) {
    const content = concat(Array.from({ length: Math.ceil(length / 43) }, () => SENTENCE)).subarray(
      0,
      length,
    );
    const windowed = new Uint8Array(zstdCompressSync(content, { chunkSize: length + 1024 }));
    assert.throws(() => frameContentSize(windowed), FormatError);
    const sized = sizedFrame(windowed, length);
    assert.equal(frameContentSize(sized), length);
    assert.equal(frameLength(sized), sized.length);
    assert.deepEqual(new Uint8Array(zstdDecompressSync(sized)), content);
  }
  const windowed = new Uint8Array(zstdCompressSync(SENTENCE));
  assert.throws(() => sizedFrame(windowed, MOST_SIZED + 1), RangeError);
  assert.throws(() => sizedFrame(compressed(SENTENCE), SENTENCE.length), FormatError);
  assert.throws(() => sizedFrame(windowed.subarray(0, 8), SENTENCE.length), FormatError);
  assert.throws(() => sizedFrame(windowed.subarray(1), SENTENCE.length), FormatError);
});
