/**
 * The codecs of Deno and Node: gzip, brotli and zstd of `node:zlib`, liblzma as WebAssembly for xz, bzip2 and the
 * writing of xz of our own. Writing bzip2 is left out: there is no sound library that streams.
 */
import { readFile } from "node:fs/promises";
import type { Transform } from "node:stream";
import { setImmediate } from "node:timers/promises";
import * as zlib from "node:zlib";
import { type Bytes, concat } from "../../bytes/bytes.ts";
import { FormatError } from "../../errors.ts";
import type { Codec, CompressionName } from "../../store/codec.ts";
import { decompressBzip2 } from "./bzip2.ts";
import { codecOver, type Conversion } from "./codec_set.ts";
import { writeStoredXz } from "./stored_xz.ts";
import { openXz } from "./xz.ts";
import { CHUNK_SIZE, runZlib } from "./zlib_stream.ts";
import { splitFrames } from "./zstd_frames.ts";

const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT, ZSTD_c_compressionLevel, ZSTD_d_windowLogMax } =
  zlib.constants;

const WINDOW_LOG_MAX = 27; // 128 MiB

/** Smaller pieces are joined before they are compressed: `node:zlib` takes as long for a tiny one as for these. */
const JOINED_LENGTH = 64 * 1024;

/** The codecs. `xz` is loaded when it is first wanted. */
export function openCodecs(): Codec {
  const decompressors = new Map<CompressionName, Conversion>([
    ["none", (input) => input],
    ["xz", openXz(compileLiblzma)],
    ["zstd", (input) => {
      const params = { [ZSTD_d_windowLogMax]: WINDOW_LOG_MAX };
      return runZlib(zlib.createZstdDecompress({ chunkSize: CHUNK_SIZE, params }), splitFrames(input), {
        fault: zlibFault("zstd"),
      });
    }],
    ["gzip", decompressGzip],
    ["br", decompressBrotli],
    ["bzip2", decompressBzip2],
  ]);
  const compressors = new Map<CompressionName, Conversion>([
    ["none", (input) => input],
    ["xz", (input) => writeStoredXz(joinSmall(input), zlib.crc32)],
    ["zstd", (input) => {
      const params = { [ZSTD_c_compressionLevel]: 1 };
      return compressWith(zlib.createZstdCompress({ chunkSize: CHUNK_SIZE, params }), input);
    }],
    ["gzip", (input) => compressWith(zlib.createGzip({ chunkSize: CHUNK_SIZE, level: 1 }), input)],
    ["br", (input) => {
      const params = { [BROTLI_PARAM_QUALITY]: 1, [BROTLI_PARAM_SIZE_HINT]: 0 };
      return compressWith(zlib.createBrotliCompress({ chunkSize: CHUNK_SIZE, params }), input);
    }],
  ]);
  return codecOver(decompressors, compressors, setImmediate);
}

async function* joinSmall(pieces: AsyncGenerator<Bytes>): AsyncGenerator<Bytes, void, void> {
  let held: Bytes[] = [];
  let length = 0;
  for await (const piece of pieces) {
    held.push(piece);
    length += piece.length;
    if (length < JOINED_LENGTH) continue;
    yield held.length === 1 ? piece : concat(held);
    held = [];
    length = 0;
  }
  if (length > 0) yield concat(held);
}

function compressWith(stream: Transform, input: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  return runZlib(stream, joinSmall(input), { fault: (cause) => cause as Error });
}

/** `node:zlib` reads members that follow each other, but stops silently at a zero byte after one. */
function decompressGzip(input: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  const stream = zlib.createGunzip({ chunkSize: CHUNK_SIZE });
  return runZlib(stream, input, {
    fault: zlibFault("gzip"),
    ended(given) {
      if (stream.bytesWritten !== given) throw goesOn("gzip");
    },
  });
}

/**
 * `node:zlib` takes any beginning of a brotli stream for the whole, and drops what follows it. So one more byte is put
 * after the input: a stream that takes it wanted more, one that leaves more than it has bytes after its end. And in Deno
 * it takes windows of up to 1 GiB, which are an extension: RFC 7932 (9.1) reserves the bits that ask for them.
 */
function decompressBrotli(input: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  const stream = zlib.createBrotliDecompress({ chunkSize: CHUNK_SIZE });
  let extra = 0;
  async function* andOne(): AsyncGenerator<Bytes> {
    let first = true;
    for await (const piece of input) {
      if (piece.length === 0) continue;
      if (first && (piece[0] & 0x7f) === 0x11) {
        throw new FormatError("br", "Cannot decompress br: it has a large window, which is not brotli");
      }
      first = false;
      yield piece;
    }
    extra = 1;
    yield new Uint8Array(1);
  }
  return runZlib(stream, andOne(), {
    fault: zlibFault("br"),
    ended(given) {
      if (stream.bytesWritten > given - extra) throw endsEarly("br");
      if (stream.bytesWritten < given - extra) throw goesOn("br");
    },
  });
}

async function compileLiblzma(): Promise<WebAssembly.Module> {
  try {
    return (await import("./liblzma_module.js")).default; // which asks for no permission to read it
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error; // of a platform that does not know such imports
    const file = new URL(import.meta.resolve("node-liblzma/wasm/liblzma.wasm"));
    return await WebAssembly.compile(new Uint8Array(await readFile(file)));
  }
}

function zlibFault(name: CompressionName): (cause: unknown) => Error {
  return (cause) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new FormatError(name, `Cannot decompress ${name}: ${why}`, { cause });
  };
}

function endsEarly(name: CompressionName): FormatError {
  return new FormatError(name, `Cannot decompress ${name}: the input ends early`);
}

function goesOn(name: CompressionName): FormatError {
  return new FormatError(name, `Cannot decompress ${name}: there are bytes after its end`);
}
