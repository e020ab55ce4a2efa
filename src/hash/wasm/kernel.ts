/**
 * The kernel, BLAKE3 and FastCDC in one WASM module with SIMD: started here, once, where the platform has SIMD. What
 * its functions do stands in `assembly/`.
 */
import { fromBase64 } from "../../bytes/base64.ts";
import { KERNEL } from "./kernel_module.ts";

/** Functions and places of the kernel. Places are offsets into `memory`, which never grows. */
export interface Kernel {
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly incrementalState: number;
  readonly oneShotState: number;
  readonly fillOffset: number;
  readonly digestOffset: number;
  readonly windowOffset: number;
  readonly windowSize: number;
  readonly gear: number;
  readonly stage: number;
  readonly stageSize: number;
  readonly inputs: number;
  readonly maxInputs: number;
  readonly results: number;
  reset(state: number, firstChunk: number): void;
  absorb(state: number, count: number): void;
  finish(state: number, count: number, isRoot: boolean): void;
  parent(state: number, isRoot: boolean): void;
  groupValues(input: number, count: number, firstChunk: number): void;
  hashInputs(count: number): void;
  restart(): void;
  scan(input: number, pairs: number, mask: bigint): number;
}

/** A module with one function that makes a vector: valid only where SIMD is there. */
// deno-fmt-ignore
const PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

async function start(): Promise<Kernel | undefined> {
  if (!WebAssembly.validate(PROBE)) return undefined;
  try {
    const { instance } = await WebAssembly.instantiate(fromBase64(KERNEL));
    const entries = Object.entries(instance.exports).map(([name, value]) => {
      if (value instanceof WebAssembly.Memory) return [name, new Uint8Array(value.buffer)];
      return [name, value instanceof WebAssembly.Global ? value.value : value];
    });
    return Object.fromEntries(entries);
  } catch {
    // A policy that forbids compiling, or no memory to be had: the fallbacks give the same results.
    return undefined;
  }
}

/** `undefined` where it cannot run. */
export const kernel: Kernel | undefined = await start();
