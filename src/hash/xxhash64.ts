/** XXH64, the checksum in zstd frames, in WASM. */
import { createXXHash64 } from "hash-wasm";
import type { Hasher } from "./hasher.ts";
import { hashersOver } from "./shared_instance.ts";

let start: Promise<() => Hasher> | undefined;

/** Starts a hash with seed 0; any number may be under way at once. Its digest is 8 bytes, the highest first. */
export async function createXxHash64(): Promise<Hasher> {
  return (await (start ??= createXXHash64().then(hashersOver)))();
}
