/**
 * Decompresses brotli (RFC 7932) without `node:zlib`: the Rust decoder, compiled to WebAssembly. Windows of more than the 16 MiB of the
 * RFC are an extension and refused. A stream ends where its decoder says, so what is missing or follows is noticed.
 */
import init, { BrotliDecStream, BrotliStreamResultCode } from "brotli-dec-wasm/web";
import type { Bytes } from "../../bytes/bytes.ts";
import { FormatError } from "../../errors.ts";

const OUTPUT = 256 * 1024;
const INPUT = 64 * 1024;

/** Makes a decompressor. `load` compiles the module; it is called when the first stream is read. */
export function openBrotli(
  load: () => Promise<WebAssembly.Module>,
): (input: AsyncGenerator<Bytes>) => AsyncGenerator<Bytes, void, void> {
  let started: Promise<unknown> | undefined;
  return async function* decompress(input) {
    try {
      started ??= load().then((module) => init({ module_or_path: module }));
      await started;
      const decoder = new BrotliDecStream();
      try {
        yield* run(decoder, input);
      } finally {
        decoder.free();
      }
    } finally {
      await input.return(undefined);
    }
  };
}

async function* run(decoder: BrotliDecStream, input: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  let ended = false;
  let first = true;
  for await (const piece of input) {
    if (piece.length === 0) continue;
    if (first && (piece[0] & 0x7f) === 0x11) throw fault("it has a large window, which is not brotli");
    first = false;
    for (let at = 0; at < piece.length || !ended;) {
      if (ended) throw fault("there are bytes after its end");
      const part = piece.subarray(at, at + INPUT);
      const { bytes, code, taken } = step(decoder, part);
      at += taken;
      if (bytes.length > 0) yield bytes;
      if (code === BrotliStreamResultCode.ResultSuccess) ended = true;
      else if (code === BrotliStreamResultCode.NeedsMoreInput && at >= piece.length) break;
    }
  }
  if (!ended) throw fault("the input ends early");
}

function step(decoder: BrotliDecStream, input: Bytes): { bytes: Bytes; code: number; taken: number } {
  let result: ReturnType<BrotliDecStream["dec"]>;
  try {
    result = decoder.dec(input, OUTPUT);
  } catch (cause) {
    throw fault(cause instanceof Error ? cause.message : `its decoder answers ${cause}`, cause);
  }
  try {
    return { bytes: result.buf as Bytes, code: result.code, taken: result.input_offset };
  } finally {
    result.free();
  }
}

function fault(why: string, cause?: unknown): FormatError {
  return new FormatError("br", `Cannot decompress br: ${why}`, { cause });
}
