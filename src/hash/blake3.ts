/** BLAKE3-256: by the kernel, or by hash-wasm where the platform has no SIMD. Chosen once; the digests are the same. */
import { createBLAKE3 } from "hash-wasm";
import type { Bytes } from "../bytes/bytes.ts";
import { blake3Over } from "./blake3_kernel.ts";
import type { Hasher } from "./hasher.ts";
import { hashersOver } from "./shared_instance.ts";
import { kernel } from "./wasm/kernel.ts";

interface Implementation {
  hash(bytes: Bytes): Bytes;
  start(): Hasher;
}

function withKernel(own: NonNullable<typeof kernel>): Implementation {
  const { hash, instance } = blake3Over(own);
  return { hash, start: hashersOver(instance) };
}

async function withHashWasm(): Promise<Implementation> {
  const one = await createBLAKE3();
  const start = hashersOver(await createBLAKE3());
  return { hash: (bytes) => one.init().update(bytes).digest("binary") as Bytes, start };
}

const implementation = kernel ? withKernel(kernel) : await withHashWasm();

/** What computes BLAKE3 and chunk boundaries here. */
export const kernelName: "wasm-simd" | "hash-wasm" = kernel ? "wasm-simd" : "hash-wasm";

/** The digest (32 bytes) of all these bytes. */
export function blake3(bytes: Bytes): Bytes {
  return implementation.hash(bytes);
}

/** Starts an incremental hash; any number may be under way at once, and one left unfinished leaks nothing. */
export function createBlake3(): Hasher {
  return implementation.start();
}
