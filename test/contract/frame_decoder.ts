/**
 * What `FrameDecoder` promises, sentence by sentence. The frames are those of zstd 1.5.4, so that a decoder is not only of one mind
 * with what encodes beside it.
 */
import { fromBase64 } from "../../src/bytes/base64.ts";
import { type Bytes, concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { rawFrame } from "../../src/bytes/zstd_frame.ts";
import type { FrameDecoder } from "../../src/castore/stored_form.ts";
import { FormatError } from "../../src/errors.ts";
import { type ContractCase, ensure, ensureSame } from "./case.ts";

const SENTENCE = "firn is old snow made of grains, firn is old snow; the grains are kept.\n";
const LINES = Array.from({ length: 40 }, (_, i) => `line ${i} of a longer text, in which much is the same\n`);

/** Contents, and their frames by `zstd -1 --no-check`; the second has three blocks. */
const SHORT = {
  content: fromText(SENTENCE),
  frame: fromBase64(
    "KLUv/SBI3QEAFANmaXJuIGlzIG9sZCBzbm93IG1hZGUgb2YgZ3JhaW5zLCA7IHRoZSBhcmUga2VwdC4KAgBBZToEUU8=",
  ),
};
const LONG = {
  content: fromText(SENTENCE.repeat(5000)),
  frame: fromBase64(
    "KLUv/aBAfgUAHAIAFANmaXJuIGlzIG9sZCBzbm93IG1hZGUgb2YgZ3JhaW5zLCA7IHRoZSBhcmUga2VwdC4KBACl/0vIgVLIB5XpEEQ9AUwA" +
      "AAggAQD8/zkQAk0AAAhlAQA8fjkQAg==",
  ),
};
const TEXT = {
  content: fromText(LINES.join("")),
  frame: fromBase64(
    "KLUv/WAWBz0FAOIFExigKR0Ff10muysiTSZR1Wjt/5bSffm1igf///+/bdu23bZt24OhQBgI7rLQnaMSs7AscTkaskhoyBmD6AhIjUpUVAIp" +
      "h4YIhQEWuhMnIIAzig+bgvPwZDgFzsPJ8BScByfDKXAeTgan4DycDE/BeXAynILPwwJPBgWeggSeBwSeDAc8BQY8DwU8GQh4CgZ4QgQ4" +
      "74gtkqNbxI5k0R2xWSRyG0Uo",
  ),
};
const SAMPLES = [SHORT, LONG, TEXT];

const HEADER = [0x28, 0xb5, 0x2f, 0xfd];
const MIB = 1024 * 1024;

/** A frame of a single segment that says it has so many bytes, and consists of these blocks. */
function claiming(size: number, ...blocks: number[]): Bytes {
  const sizes = [size, size >> 8, size >> 16, size >>> 24].map((byte) => byte & 0xff);
  return Uint8Array.of(...HEADER, 0xa0, ...sizes, ...blocks);
}

/** The promises. */
export const frameDecoderContract: readonly ContractCase<FrameDecoder>[] = [
  promise("the content of a frame is given", (decoder) => {
    for (const { content, frame } of SAMPLES) {
      ensureSame(decoder.decode(frame, content.length), content, `${content.length} bytes`);
    }
  }),
  promise("the content of a raw frame is given, of any length up to 4 MiB", (decoder) => {
    for (const length of [1, 255, 256, 65_791, 65_792, 128 * 1024, 128 * 1024 + 1, 4 * MIB]) {
      const content = new Uint8Array(length).map((_, i) => i ^ i >> 8);
      ensureSame(decoder.decode(rawFrame(content), length), content, `${length} bytes`);
    }
    ensureSame(decoder.decode(rawFrame(EMPTY), 0), EMPTY, "no bytes");
  }),
  promise("the frame may be a view, and the content is the receiver's to keep", (decoder) => {
    const contents = SAMPLES.map(({ content, frame }) => {
      const held = concat([fromText("before"), frame, fromText("behind")]);
      const view = held.subarray(6, 6 + frame.length);
      const given = decoder.decode(view, content.length);
      held.fill(0);
      return given;
    });
    for (const { frame, content } of SAMPLES) decoder.decode(frame, content.length).fill(0);
    contents.forEach((content, i) => ensureSame(content, SAMPLES[i].content, `content ${i}`));
  }),
  promise("a content of another size is a FormatError", (decoder) => {
    for (const { content: { length }, frame } of SAMPLES) {
      for (const size of [0, 1, length - 1, length + 1, 2 * length, 4 * MIB]) {
        refused(decoder, frame, size, `${size} for ${length}`);
      }
    }
    refused(decoder, rawFrame(EMPTY), 1, "1 for none");
  }),
  promise("a header that tells another size than the content has is a FormatError", (decoder) => {
    const { frame, content } = SHORT;
    for (const size of [0, 1, content.length - 1, content.length + 1, 255]) {
      const lying = frame.slice();
      lying[5] = size;
      refused(decoder, lying, size, `${size} for ${content.length}`);
    }
  }),
  promise("a frame that is cut off, or that anything follows, is a FormatError", (decoder) => {
    for (const { content, frame } of [SHORT, TEXT]) {
      for (let length = 0; length < frame.length; length++) {
        refused(decoder, frame.subarray(0, length), content.length, `${length} of ${frame.length} bytes`);
      }
      const skippable = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0);
      for (const more of [Uint8Array.of(0), rawFrame(EMPTY), frame, skippable]) {
        refused(decoder, concat([frame, more]), content.length, "with more behind it");
        if (more !== frame) refused(decoder, concat([more, frame]), content.length, "with more before it");
      }
    }
  }),
  promise(
    "any bit may be wrong: a FormatError, or content of that size, and the next frame is read",
    (decoder) => {
      for (const { content, frame } of [SHORT, TEXT]) {
        let refusals = 0;
        for (let bit = 0; bit < frame.length * 8; bit++) {
          const damaged = frame.slice();
          damaged[bit >> 3] ^= 1 << (bit & 7);
          const given = attempt(decoder, damaged, content.length);
          if (given instanceof Error) refusals++;
          else ensureSame(given.length, content.length, `bit ${bit}`);
        }
        ensure(refusals > frame.length / 2, `only ${refusals} were refused`);
        ensureSame(decoder.decode(frame, content.length), content, "the frame afterwards");
      }
    },
  ),
  promise(
    "a frame that claims or makes more than it should is a FormatError, and takes no memory",
    (decoder) => {
      const bomb = [0x02, 0x00, 0x10, 0x61]; // a block of 128 KiB of one byte, and not the last
      const end = [0x01, 0x00, 0x00];
      for (const size of [2 ** 31, 2 ** 32 - 1, 4 * MIB + 1]) {
        refused(decoder, claiming(size, ...end), size, `it claims ${size} bytes`);
      }
      const many = Array.from({ length: 1000 }, () => bomb).flat();
      refused(decoder, claiming(1000, ...many, ...end), 1000, "it makes 128 MB");
      const history = Uint8Array.of(...HEADER, 0x80, 0xf8, 0x01, 0, 0, 0, 0x09, 0, 0, 0x61);
      const given = attempt(decoder, history, 1); // which it would need 2^41 bytes of history for
      if (!(given instanceof Error)) ensureSame(given, fromText("a"), "a frame with a long history");
      ensureSame(decoder.decode(SHORT.frame, SHORT.content.length), SHORT.content, "a frame afterwards");
    },
  ),
  promise("no frame, and a frame with a dictionary, is a FormatError", (decoder) => {
    refused(decoder, fromText(SENTENCE), SENTENCE.length, "a text");
    refused(decoder, Uint8Array.of(...HEADER, 0x21, 0x07, 0x01, 0x09, 0, 0, 0x61), 1, "a dictionary");
    refused(decoder, claiming(1, 0x0f, 0, 0, 0x61), 1, "a block of no known type");
  }),
];

function refused(decoder: FrameDecoder, frame: Bytes, size: number, about: string): void {
  const given = attempt(decoder, frame, size);
  ensure(given instanceof Error, `${about}: it was taken`);
}

/** What a decoder gives, or the `FormatError` it throws. */
function attempt(decoder: FrameDecoder, frame: Bytes, size: number): Bytes | Error {
  try {
    return decoder.decode(frame, size);
  } catch (error) {
    ensure(error instanceof FormatError, `it threw ${error}, want a FormatError`);
    return error;
  }
}

function promise(name: string, test: (decoder: FrameDecoder) => void): ContractCase<FrameDecoder> {
  return { name, run: async (make) => test(await make()) };
}
