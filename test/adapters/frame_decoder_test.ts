// The decoders of frames: that of browsers, which runs here too, and that of `node:zlib` keep the contract, and read what others write.
import assert from "node:assert/strict";
import { constants, zstdCompressSync } from "node:zlib";
import { openFrameDecoder } from "../../src/adapters/codecs/frame_decoder.ts";
import { nativeFrames } from "../../src/adapters/native/frames.ts";
import { type Bytes, equals } from "../../src/bytes/bytes.ts";
import { frameDecoderContract } from "../contract/frame_decoder.ts";
import { testContract } from "../contract/run.ts";
import { noise } from "../server/_site.ts";

testContract("frames of browsers", frameDecoderContract, openFrameDecoder);
testContract("frames of node:zlib", frameDecoderContract, () => Promise.resolve(nativeFrames));

function frameOf(bytes: Bytes, level: number): Bytes {
  const options = {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    pledgedSrcSize: bytes.length, // else the header does not tell it
    chunkSize: bytes.length + 1024, // else an empty frame may follow
  };
  return new Uint8Array(zstdCompressSync(bytes, options));
}

Deno.test("frames of browsers: those of node:zlib are read, of all levels and lengths", async () => {
  const decoder = await openFrameDecoder();
  const words = new TextEncoder().encode("some words that stand here again and again\n".repeat(100_000));
  for (const level of [1, 3, 9, 19]) {
    for (const length of [1, 100, 1024, 65_536, 262_144, 524_288, 4 * 1024 * 1024]) {
      for (const content of [words.slice(0, length), noise(length)]) {
        const back = decoder.decode(frameOf(content, level), length);
        assert.ok(equals(back, content), `level ${level}, ${length} bytes`);
      }
    }
  }
});

Deno.test("frames of browsers: memory is used again, whether frames are good or damaged", async () => {
  const decoder = await openFrameDecoder();
  const content = new TextEncoder().encode("some words that stand here again and again\n".repeat(6000));
  const frame = frameOf(content, 1);
  const damaged = frame.slice().fill(0xff, 12, 20); // in the first block
  // The module can have 2 GiB: of these, each forgotten, it could not decode all.
  for (let i = 0; i < 10_000; i++) {
    assert.equal(decoder.decode(frame, content.length).length, content.length);
    assert.throws(() => decoder.decode(damaged, content.length), /it is corrupt/);
  }
});
