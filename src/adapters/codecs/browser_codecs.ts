/**
 * The codecs of browsers, where there is no `node:zlib`: liblzma for xz, zstd, and a brotli decoder, all as WebAssembly, pako for
 * gzip (the platform's own stops at the first member), and bzip2 of our own. gzip and plain bytes are written, too.
 */
import { Inflate } from "pako/inflate";
import type { Bytes } from "../../bytes/bytes.ts";
import { through } from "../../bytes/through.ts";
import { FormatError } from "../../errors.ts";
import type { Codec, CompressionName } from "../../store/codec.ts";
import { openBrotli } from "./brotli.ts";
import { decompressBzip2 } from "./bzip2.ts";
import { codecOver, type Conversion } from "./codec_set.ts";
import { decompressZstd } from "./zstd.ts";
import { openXz } from "./xz.ts";

/** Compiled modules, loaded when they are first wanted. */
export interface WasmModules {
  /** `node-liblzma/wasm/liblzma.wasm` */
  readonly liblzma: () => Promise<WebAssembly.Module>;
  /** `brotli-dec-wasm/pkg/brotli_dec_wasm_bg.wasm` */
  readonly brotli: () => Promise<WebAssembly.Module>;
}

/** The codecs. */
export function openBrowserCodecs({ liblzma, brotli }: WasmModules): Codec {
  const decompressors = new Map<CompressionName, Conversion>([
    ["none", (input) => input],
    ["xz", openXz(liblzma)],
    ["zstd", decompressZstd],
    ["gzip", decompressGzip],
    ["br", openBrotli(brotli)],
    ["bzip2", decompressBzip2],
  ]);
  const compressors = new Map<CompressionName, Conversion>([
    ["none", (input) => input],
    ["gzip", compressGzip],
  ]);
  return codecOver(decompressors, compressors, turn);
}

/** A message to oneself comes after all that waits, and is not slowed down as timers are. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

const PIECE = 256 * 1024;
/** Input is given in parts, so that what one expands to is bounded: deflate makes at most 1032 bytes of one. */
const PART = 4096;

async function* decompressGzip(input: AsyncGenerator<Bytes>): AsyncGenerator<Bytes, void, void> {
  let ready: Bytes[] = [];
  const open = () => {
    const inflate = new Inflate({ windowBits: 31, chunkSize: PIECE });
    inflate.onData = (bytes: Uint8Array) => {
      ready.push((bytes as Bytes).slice());
    };
    return inflate;
  };
  try {
    let inflate = open();
    let begun = true; // no bytes at all end early, too
    for await (const piece of input) {
      for (let at = 0; at < piece.length;) {
        const part = piece.subarray(at, at + PART);
        inflate.push(part, false);
        begun = true;
        if (inflate.err) throw gzipFault(inflate.msg || `zlib answers ${inflate.err}`);
        const left = inflate.ended ? (inflate as unknown as { strm: { avail_in: number } }).strm.avail_in : 0;
        at += part.length - left;
        if (inflate.ended) {
          inflate = open();
          begun = false;
        }
        const pieces = ready;
        ready = [];
        for (const bytes of pieces) if (bytes.length > 0) yield bytes;
      }
    }
    if (begun) throw gzipFault("the input ends early");
  } finally {
    await input.return(undefined);
  }
}

function gzipFault(why: string): FormatError {
  return new FormatError("gzip", `Cannot decompress gzip: ${why}`);
}

function compressGzip(input: AsyncGenerator<Bytes>): AsyncGenerator<Bytes, void, void> {
  return through(new CompressionStream("gzip"), input);
}
