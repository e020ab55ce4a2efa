/**
 * zstd itself, compiled to WebAssembly: its module, compiled once, and instances of it, each with a memory of its own.
 *
 * The package `zstddec` carries the module, and a decoder around one instance for all. That one takes a fault for an empty answer,
 * asks for as much memory as a frame claims, and cannot be left in the middle of a stream; so only its module is used.
 */
import { ZSTDDecoder } from "zstddec/stream";
import type { Bytes } from "../../bytes/bytes.ts";

/** What is used of an instance; sizes and addresses are of 32 bits, and a size that is negative is a fault. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  malloc(size: number): number;
  free(address: number): void;
  ZSTD_createDCtx(): number;
  ZSTD_decompress(to: number, capacity: number, from: number, length: number): number;
  ZSTD_decompressStream(context: number, output: number, input: number): number;
}

/** An instance. */
export class Zstd {
  readonly calls: Exports;

  constructor(module: WebAssembly.Module) {
    // What it would be told of, memory that has grown, is looked at anew by whoever needs it.
    const imports = { env: { emscripten_notify_memory_growth: () => {} } };
    this.calls = new WebAssembly.Instance(module, imports).exports as unknown as Exports;
  }

  /** Its memory, until the next call. */
  get memory(): Bytes {
    return new Uint8Array(this.calls.memory.buffer as ArrayBuffer);
  }

  /** Room for so many bytes. */
  allocate(length: number): number {
    const address = this.calls.malloc(length);
    if (address === 0) throw new RangeError(`Cannot decompress zstd: no memory for ${length} bytes`);
    return address;
  }
}

let module: Promise<WebAssembly.Module> | undefined;

/** The module, which is compiled when it is first wanted. */
export function loadZstd(): Promise<WebAssembly.Module> {
  return module ??= compile().catch((error) => {
    module = undefined;
    throw error;
  });
}

async function compile(): Promise<WebAssembly.Module> {
  const decoder = new ZSTDDecoder();
  const { promise, resolve } = Promise.withResolvers<WebAssembly.Module>();
  decoder._init = (source) => resolve(source.module);
  await decoder.init();
  return await promise;
}
