/**
 * What `Codec` promises, sentence by sentence. The streams are those of xz 5.4.1, zstd 1.5.4, gzip 1.12, bzip2 1.0.8 and
 * brotli 1.0.9, so that a codec is not only of one mind with itself.
 */
import { fromBase64 } from "../../src/bytes/base64.ts";
import { type Bytes, concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { collect, toReadable } from "../../src/bytes/streams.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import { type Codec, type CompressionName, MAX_HISTORY, MAX_PIECE_LENGTH } from "../../src/store/codec.ts";
import { type ContractCase, ensure, ensureRejects, ensureSame } from "./case.ts";

const TEXT = fromText("firn is old snow made of grains, firn is old snow; the grains are kept.\n");

type Packed = Exclude<CompressionName, "none">;

/** {@link TEXT} as the tools compress it. */
const STREAMS: Readonly<Record<Packed, Bytes>> = {
  xz: fromBase64(
    "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4ABHADldADMaSquezOdO8hnhpV1XLMomWskHPcFKRtJRiGcWiq/qMYVN673iRLXrVODV/XalJFWb" +
      "Uhz9XEfgAAAAAAAZKrjgcEZeywABVUiY1U2fH7bzfQEAAAAABFla",
  ),
  zstd: fromBase64(
    "KLUv/QRY3QEAFANmaXJuIGlzIG9sZCBzbm93IG1hZGUgb2YgZ3JhaW5zLCA7IHRoZSBhcmUga2VwdC4KAgBBZToEUU9OAWzQ",
  ),
  gzip: fromBase64(
    "H4sIAAAAAAAAA0vLLMpTyCxWyM9JUSjOyy9XyE1MSVXIT1NIL0rMzCvWUUhDU2CtUJKRCpVVSCxKVchOLSjR4wIAG7Jmj0gAAAA=",
  ),
  br: fromBase64(
    "H0cA+I3UYq2zMKduS3V0Q7Olg78OZIdfMBRgAw7cE8wDkMFvBGDw5yc3WAIbeRda+VPddhnVA2ET7zjCyoccAA==",
  ),
  bzip2: fromBase64(
    "QlpoOTFBWSZTWVVKuG0AAA9ZgAAQQAUACCfv3IAgAEhKhpqPUyaNNpqDU0NDQ0NAR6t1kpE1LlqQuoMOe/Vs+9NK7GRJKTYwbEcwboQxEgRj" +
      "xIPi7kinChIKqVcNoA==",
  ),
};

/** {@link TEXT} by `xz --lzma2=dict=…`: the dictionary is only asked for, not used. */
const XZ_192_MIB = fromBase64(
  "/Td6WFoAAATm1rRGAgAhAR8AAAD+YO3e4ABHADldADMaSquezOdO8hnhpV1XLMomWskHPcFKRtJRiGcWiq/qMYVN673iRLXrVODV/XalJFWbUhz9" +
    "XEfgAAAAAAAZKrjgcEZeywABVUiY1U2fH7bzfQEAAAAABFla",
);
const XZ_128_MIB = fromBase64(
  "/Td6WFoAAATm1rRGAgAhAR4AAACbB1Fm4ABHADldADMaSquezOdO8hnhpV1XLMomWskHPcFKRtJRiGcWiq/qMYVN673iRLXrVODV/XalJFWbUhz9" +
    "XEfgAAAAAAAZKrjgcEZeywABVUiY1U2fH7bzfQEAAAAABFla",
);

/** A frame without checksum: window of 2^(10 + exponent) bytes and as many eighths, one raw block "a". */
function zstdFrame(exponent: number, eighths: number): Bytes {
  return Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3 | eighths, 0x09, 0x00, 0x00, 0x61);
}

/** A frame of a single segment that says it holds 2^31 bytes. */
const ZSTD_SINGLE_SEGMENT = Uint8Array.of(
  ...[0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0x00, 0x00, 0x00, 0x80, 0x09, 0x00, 0x00, 0x61],
);

const LENGTHS = [0, 1, 65535, 65536, 65537, 3_000_000];

/** The promises. */
export const codecContract: readonly ContractCase<Codec>[] = [
  promise("what the tools compressed is decompressed, in pieces of any length", async (codec) => {
    for (const [name, stream] of streams(codec)) {
      for (const length of [1, 2, 7, stream.length]) {
        ensureSame(
          await decompress(codec, name, cut(stream, length)),
          TEXT,
          `${name} in pieces of ${length}`,
        );
      }
      const [first, rest] = [stream.subarray(0, 20), stream.subarray(20)];
      const source = inPieces(EMPTY, EMPTY, first, EMPTY, EMPTY, EMPTY, rest, EMPTY, EMPTY);
      ensureSame(await decompress(codec, name, source), TEXT, `${name} with empty pieces`);
    }
  }),
  promise("a ReadableStream is a source", async (codec) => {
    for (const [name, stream] of streams(codec)) {
      const source = toReadable(cut(stream, 10));
      ensureSame(await collect(codec.decompress(name, source)), TEXT, name);
    }
  }),
  promise("what is compressed is decompressed to the same bytes", async (codec) => {
    for (const name of codec.compresses) {
      if (!codec.decompresses.has(name)) continue;
      for (const length of LENGTHS) {
        for (const content of [pattern(length), new Uint8Array(length)]) {
          const packed = await collect(codec.compress(name, cut(content, 50_000)));
          const result = await decompress(codec, name, cut(packed, 40_000));
          ensureSame(result, content, `${length} bytes by ${name}`);
        }
      }
    }
  }),
  promise("none changes nothing", async (codec) => {
    ensure(codec.decompresses.has("none") && codec.compresses.has("none"), "none is not in the sets");
    ensureSame(await decompress(codec, "none", cut(TEXT, 3)), TEXT, "decompressed");
    ensureSame(await collect(codec.compress("none", cut(TEXT, 3))), TEXT, "compressed");
    ensureSame(await decompress(codec, "none", cut(EMPTY, 1)), EMPTY, "nothing");
  }),
  promise("members that follow each other are read as one", async (codec) => {
    const three = concat([TEXT, TEXT, TEXT]);
    for (const [name, stream] of streams(codec)) {
      if (name === "br") continue;
      for (const length of [1, 13, stream.length, 3 * stream.length]) {
        const source = cut(concat([stream, stream, stream]), length);
        ensureSame(await decompress(codec, name, source), three, `${name} in pieces of ${length}`);
      }
    }
  }),
  promise("input that ends early is a FormatError, wherever it ends", async (codec) => {
    for (const [name, stream] of streams(codec)) {
      for (let length = 0; length < stream.length; length++) {
        const about = `${length} of ${stream.length} bytes of ${name}`;
        await ensureFormatError(codec, name, cut(stream.subarray(0, length), 1000), about);
        if (name === "br" || length === 0) continue;
        const second = concat([stream, stream.subarray(0, length)]);
        await ensureFormatError(codec, name, cut(second, 1000), `a whole one and ${about}`);
      }
    }
  }),
  promise("bytes after the end that are no member are a FormatError", async (codec) => {
    const tails = [
      Uint8Array.of(0),
      new Uint8Array(9),
      fromText("x"),
      fromText("garbage after the end"),
      TEXT,
    ];
    for (const [name, stream] of streams(codec)) {
      for (const tail of tails) {
        const about = `${name} and ${tail.length} bytes`;
        await ensureFormatError(codec, name, cut(concat([stream, tail]), 1000), about);
        await ensureFormatError(codec, name, inPieces(stream, tail), `${about}, apart`);
      }
    }
  }),
  promise("another compression than the name says is a FormatError", async (codec) => {
    for (const [name] of streams(codec)) {
      for (const [other, stream] of streams(codec)) {
        if (other !== name) await ensureFormatError(codec, name, cut(stream, 1000), `${other} as ${name}`);
      }
      await ensureFormatError(codec, name, cut(TEXT, 1000), `plain text as ${name}`);
    }
  }),
  promise("a damaged bit is a FormatError or a LimitError, or does not matter", async (codec) => {
    for (const [name, stream] of streams(codec)) {
      if (name === "br") continue;
      for (let bit = 0; bit < stream.length * 8; bit++) {
        const damaged = stream.slice();
        damaged[bit >> 3] ^= 1 << (bit & 7);
        const about = `${name} with bit ${bit} changed`;
        try {
          ensureSame(await decompress(codec, name, cut(damaged, 1000)), TEXT, about);
        } catch (error) {
          ensure(error instanceof FormatError || error instanceof LimitError, `${about}: ${error}`);
        }
      }
    }
  }),
  promise("a damaged checksum is a FormatError, though the bytes are right", async (codec) => {
    // From the end of the stream, in bytes; in xz, the index and the footer are checked by CRCs of their own.
    const checksums: Readonly<Record<Packed, [from: number, to: number]>> = {
      xz: [36, 0],
      zstd: [4, 0],
      gzip: [8, 0],
      br: [0, 0],
      bzip2: [4, 1],
    };
    for (const [name, stream] of streams(codec)) {
      const [from, to] = checksums[name];
      for (let at = stream.length - from; at < stream.length - to; at++) {
        const damaged = stream.slice();
        damaged[at] ^= 0x40;
        await ensureFormatError(codec, name, cut(damaged, 1000), `${name} with byte ${at} changed`);
      }
    }
  }),
  promise("more history than the limit is a LimitError, and as much is fine", async (codec) => {
    const refused: [CompressionName, Bytes][] = [
      ["xz", XZ_192_MIB],
      ["zstd", zstdFrame(17, 1)],
      ["zstd", zstdFrame(21, 0)],
      ["zstd", zstdFrame(31, 7)],
      ["zstd", ZSTD_SINGLE_SEGMENT],
    ];
    for (const [name, stream] of refused) {
      if (!codec.decompresses.has(name)) continue;
      const failed = decompress(codec, name, cut(stream, 1000));
      const error = await ensureRejects(failed, LimitError, `${name} of too much history`);
      ensureSame(error.limit, MAX_HISTORY, "the limit");
    }
    if (codec.decompresses.has("xz")) {
      ensureSame(await decompress(codec, "xz", cut(XZ_128_MIB, 1000)), TEXT, "xz of 128 MiB");
    }
    if (codec.decompresses.has("zstd")) {
      ensureSame(
        await decompress(codec, "zstd", cut(zstdFrame(17, 0), 1000)),
        fromText("a"),
        "zstd of 128 MiB",
      );
    }
  }),
  promise("what the source throws is thrown on", async (codec) => {
    for (const [verb, name, stream] of conversions(codec)) {
      for (const length of [0, 1, stream.length - 1]) {
        const thrown = new RangeError("the source is gone");
        const source = failing(stream.subarray(0, length), thrown);
        const error = await ensureRejects(collect(codec[verb](name, source)), RangeError, `${verb} ${name}`);
        ensure(error === thrown, `${verb} ${name}: threw ${error}`);
      }
    }
  }),
  promise("leaving the loop early releases the source", async (codec) => {
    for (const [verb, name, , endless] of conversions(codec)) {
      let released = false;
      const source = async function* () {
        try {
          yield* endless();
        } finally {
          released = true;
        }
      };
      for await (const _ of codec[verb](name, source())) break;
      ensure(released, `${verb} ${name}: the iterable was not ended`);

      let cancelled = false;
      const pieces = endless();
      const stream = new ReadableStream<Bytes>({
        pull: async (controller) => controller.enqueue((await pieces.next()).value as Bytes),
        cancel: () => void (cancelled = true),
      });
      for await (const _ of codec[verb](name, stream)) break;
      ensure(cancelled && !stream.locked, `${verb} ${name}: the stream was not cancelled`);
    }
  }),
  promise("a failure releases the source", async (codec) => {
    for (const [name] of streams(codec)) {
      let released = false;
      const source = async function* () {
        try {
          while (true) yield TEXT;
        } finally {
          released = true;
        }
      };
      await ensureFormatError(codec, name, source(), name);
      ensure(released, `${name}: the source was not ended`);
    }
  }),
  promise("the source is read at the pace of the consumer", async (codec) => {
    for (const [verb, name, , endless] of conversions(codec)) {
      let read = 0;
      const source = async function* () {
        for await (const piece of endless()) {
          read += piece.length;
          yield piece;
        }
      };
      for await (const _ of codec[verb](name, source())) {
        const before = read;
        await new Promise((resolve) => setTimeout(resolve, 20));
        ensure(read === before, `${verb} ${name}: ${read - before} bytes were read while nobody waited`);
        ensure(read < 16 * 1024 * 1024, `${verb} ${name}: ${read} bytes were read for one piece`);
        break;
      }
    }
  }),
  promise("pieces are neither empty nor too long, and stay as they are", async (codec) => {
    const content = concat([new Uint8Array(3_000_000), pattern(1_000_000)]);
    for (const name of codec.compresses) {
      if (!codec.decompresses.has(name)) continue;
      const packed = await takePieces(codec.compress(name, inPieces(EMPTY, content, EMPTY)), name);
      const pieces = await takePieces(codec.decompress(name, inPieces(EMPTY, concat(packed))), name);
      ensureSame(concat(pieces), content, name);
    }
  }),
  promise("many streams run side by side", async (codec) => {
    const results: Promise<void>[] = [];
    for (const [name, stream] of streams(codec)) {
      for (let i = 1; i <= 10; i++) {
        const content = decompress(codec, name, cut(stream, i));
        results.push(content.then((content) => ensureSame(content, TEXT, name)));
      }
    }
    await Promise.all(results);
  }),
  // deno-lint-ignore require-await
  promise("a name that is not in the set is a TypeError at once", async (codec) => {
    const names = ["lzip", ...Object.keys(STREAMS)] as CompressionName[];
    for (const name of names) {
      if (!codec.decompresses.has(name)) ensureTypeError(() => codec.decompress(name, cut(TEXT, 1)), name);
      if (!codec.compresses.has(name)) ensureTypeError(() => codec.compress(name, cut(TEXT, 1)), name);
    }
  }),
];

function promise(name: string, test: (codec: Codec) => Promise<void>): ContractCase<Codec> {
  return { name, run: async (make) => await test(await make()) };
}

/** The streams of the tools that the codec says it decompresses. */
function streams(codec: Codec): [Packed, Bytes][] {
  const all = Object.entries(STREAMS) as [Packed, Bytes][];
  return all.filter(([name]) => codec.decompresses.has(name));
}

type Conversion = ["compress" | "decompress", CompressionName, Bytes, () => AsyncGenerator<Bytes>];

/** All a codec does, each with a small input and an endless one. brotli has no second member to go on with. */
function conversions(codec: Codec): Conversion[] {
  const all: Conversion[] = [...codec.compresses].map((name) => ["compress", name, TEXT, noise]);
  for (const [name, stream] of streams(codec)) {
    all.push(["decompress", name, stream, name === "br" ? endlessBrotli : () => repeat(stream)]);
  }
  return all;
}

async function* repeat(stream: Bytes): AsyncGenerator<Bytes> {
  const many = concat(Array.from({ length: 100 }, () => stream));
  while (true) yield many;
}

async function* noise(): AsyncGenerator<Bytes> {
  const piece = pattern(100_000);
  while (true) yield piece;
}

/**
 * A window of 2^16 and raw meta-blocks of 65536 bytes (RFC 7932, 9.2). A header is, lowest bit first, ISLAST 0, MNIBBLES
 * 00, MLEN − 1 in 16 bits, ISUNCOMPRESSED 1, zeros to a whole byte; before the first one stands WBITS 0.
 */
async function* endlessBrotli(): AsyncGenerator<Bytes> {
  const body = pattern(65536);
  yield Uint8Array.of(0xf0, 0xff, 0x1f);
  yield body;
  while (true) yield concat([Uint8Array.of(0xf8, 0xff, 0x0f), body]);
}

async function* cut(bytes: Bytes, length: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function* inPieces(...pieces: Bytes[]): AsyncGenerator<Bytes> {
  yield* pieces;
}

async function* failing(bytes: Bytes, error: Error): AsyncGenerator<Bytes> {
  if (bytes.length > 0) yield bytes;
  throw error;
}

/** Bytes that do not compress and do not repeat. */
function pattern(length: number): Bytes {
  const bytes = new Uint8Array(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

function decompress(codec: Codec, name: CompressionName, source: AsyncIterable<Bytes>): Promise<Bytes> {
  return collect(codec.decompress(name, source));
}

async function takePieces(source: AsyncIterable<Bytes>, about: string): Promise<Bytes[]> {
  const pieces: Bytes[] = [];
  for await (const piece of source) {
    ensure(
      piece.length > 0 && piece.length <= MAX_PIECE_LENGTH,
      `${about}: a piece has ${piece.length} bytes`,
    );
    pieces.push(piece);
  }
  return pieces;
}

async function ensureFormatError(
  codec: Codec,
  name: CompressionName,
  source: AsyncIterable<Bytes>,
  about: string,
): Promise<void> {
  const error = await ensureRejects(decompress(codec, name, source), FormatError, about);
  ensureSame(error.format, name, `${about}: the format`);
  ensure(
    error.message.startsWith(`Cannot decompress ${name}: `),
    `${about}: the message is ${error.message}`,
  );
}

function ensureTypeError(action: () => unknown, about: string): void {
  try {
    action();
  } catch (error) {
    ensure(error instanceof TypeError, `${about}: threw ${error}`);
    return;
  }
  ensure(false, `${about}: nothing was thrown`);
}
