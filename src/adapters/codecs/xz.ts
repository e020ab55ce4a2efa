/**
 * Decompresses xz with liblzma itself, compiled to WebAssembly: every filter and check it knows (none, CRC32, CRC64,
 * SHA-256; a check it does not know is refused), concatenated streams and stream padding. The index and the footer of
 * each stream are verified as well.
 *
 * Each stream has an instance, and so a memory, of its own; the few that are idle and small wait for the next stream.
 */
import createLzma from "node-liblzma/wasm/liblzma.js";
import { type Bytes, EMPTY } from "../../bytes/bytes.ts";
import { FormatError, LimitError } from "../../errors.ts";
import { MAX_HISTORY } from "../../store/codec.ts";

/** What is used of the module that Emscripten made; structures are those of lzma.h, in 32 bits. */
interface Lzma {
  readonly HEAPU8: Bytes;
  _malloc(size: number): number;
  _lzma_stream_decoder(stream: number, memoryLimit: bigint, flags: number): number;
  _lzma_code(stream: number, action: number): number;
  _lzma_end(stream: number): void;
  setValue(address: number, value: number, type: "i32"): void;
  getValue(address: number, type: "i32"): number;
}

/** Where an instance keeps the `lzma_stream` and the two buffers it works on. */
interface Decoder {
  readonly lzma: Lzma;
  readonly stream: number;
  readonly input: number;
  readonly output: number;
}

const STREAM_LENGTH = 96;
const INPUT_LENGTH = 64 * 1024;
const OUTPUT_LENGTH = 256 * 1024;

/** Fields of `lzma_stream`, as offsets. */
const NEXT_IN = 0, AVAIL_IN = 4, NEXT_OUT = 16, AVAIL_OUT = 20;

const RUN = 0, FINISH = 3;
const TELL_UNSUPPORTED_CHECK = 0x02, CONCATENATED = 0x08;
const OK = 0, STREAM_END = 1, MEMORY_LIMIT = 6;
const FAULTS: Readonly<Record<number, string>> = {
  3: "it has a check of an unknown kind",
  5: "there is no memory for it",
  7: "it is not xz",
  8: "it has options that are not known",
  9: "it is corrupt",
  10: "the input ends early",
};

/**
 * Memory liblzma may use. Dictionaries are 2^n or 3·2^n bytes, so the one after 128 MiB has 192; what else is needed
 * is below 1 MiB.
 */
const MEMORY = MAX_HISTORY + MAX_HISTORY / 4;

/** An idle instance is kept if its memory is not larger than `xz -6` makes it. */
const IDLE_INSTANCES = 4;
const IDLE_MEMORY = 32 * 1024 * 1024;

/** Makes a decompressor. `load` compiles `node-liblzma/wasm/liblzma.wasm`; it is called when the first stream is read. */
export function openXz(
  load: () => Promise<WebAssembly.Module>,
): (input: AsyncGenerator<Bytes>) => AsyncGenerator<Bytes, void, void> {
  const idle: Decoder[] = [];
  let module: Promise<WebAssembly.Module> | undefined;
  return async function* decompress(input) {
    try {
      const decoder = idle.pop() ?? await instantiate(await (module ??= load()));
      const { lzma, stream } = decoder;
      lzma.HEAPU8.fill(0, stream, stream + STREAM_LENGTH);
      const started = lzma._lzma_stream_decoder(
        stream,
        BigInt(MEMORY),
        TELL_UNSUPPORTED_CHECK | CONCATENATED,
      );
      if (started !== OK) throw fault(started);
      try {
        yield* run(decoder, input);
      } finally {
        lzma._lzma_end(stream);
        if (idle.length < IDLE_INSTANCES && lzma.HEAPU8.length <= IDLE_MEMORY) idle.push(decoder);
      }
    } finally {
      await input.return(undefined);
    }
  };
}

async function instantiate(module: WebAssembly.Module): Promise<Decoder> {
  const create = createLzma as unknown as (options: unknown) => Promise<Lzma>;
  const lzma = await create({
    instantiateWasm(imports: WebAssembly.Imports, receive: (instance: WebAssembly.Instance) => void) {
      WebAssembly.instantiate(module, imports).then(receive);
      return {};
    },
  });
  return {
    lzma,
    stream: lzma._malloc(STREAM_LENGTH),
    input: lzma._malloc(INPUT_LENGTH),
    output: lzma._malloc(OUTPUT_LENGTH),
  };
}

async function* run(
  { lzma, stream, input, output }: Decoder,
  source: AsyncGenerator<Bytes>,
): AsyncGenerator<Bytes> {
  let piece = EMPTY;
  let ended = false;
  while (true) {
    if (lzma.getValue(stream + AVAIL_IN, "i32") === 0 && !ended) {
      while (piece.length === 0 && !ended) {
        const { done, value } = await source.next();
        if (done) ended = true;
        else piece = value;
      }
      const part = piece.subarray(0, INPUT_LENGTH);
      piece = piece.subarray(part.length);
      lzma.HEAPU8.set(part, input);
      lzma.setValue(stream + NEXT_IN, input, "i32");
      lzma.setValue(stream + AVAIL_IN, part.length, "i32");
    }
    lzma.setValue(stream + NEXT_OUT, output, "i32");
    lzma.setValue(stream + AVAIL_OUT, OUTPUT_LENGTH, "i32");
    const code = lzma._lzma_code(stream, ended ? FINISH : RUN);
    const length = OUTPUT_LENGTH - lzma.getValue(stream + AVAIL_OUT, "i32");
    if (length > 0) yield lzma.HEAPU8.slice(output, output + length);
    if (code === STREAM_END) return;
    if (code !== OK) throw fault(code);
  }
}

function fault(code: number): Error {
  if (code === MEMORY_LIMIT) {
    return new LimitError(
      MAX_HISTORY,
      `Cannot decompress xz: it wants a dictionary of more than ${MAX_HISTORY} bytes`,
    );
  }
  return new FormatError("xz", `Cannot decompress xz: ${FAULTS[code] ?? `liblzma answers ${code}`}`);
}
