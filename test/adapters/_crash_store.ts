/**
 * What the process that is killed and the one that looks at its store have in common.
 */
import { openDenoKv } from "../../src/adapters/deno_kv/deno_kv_store.ts";
import { openFs } from "../../src/adapters/fs/fs_store.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { pattern } from "../contract/_byte_store_samples.ts";

/** Bytes before the pattern: generation and length of the pattern, 4 bytes each. */
const HEADER_LENGTH = 8;

/** A value that says which one it is and shows whether it is whole. */
export function valueOf(generation: number, length: number): Bytes {
  const value = new Uint8Array(HEADER_LENGTH + length);
  new DataView(value.buffer).setUint32(0, generation);
  new DataView(value.buffer).setUint32(4, length);
  value.set(pattern(length, generation), HEADER_LENGTH);
  return value;
}

/** The generation of a value; `undefined` when it is not whole. */
export function generationOf(value: Bytes): number | undefined {
  if (value.length < HEADER_LENGTH) return undefined;
  const view = new DataView(value.buffer, value.byteOffset);
  const expected = valueOf(view.getUint32(0), value.length - HEADER_LENGTH);
  return value.every((byte, i) => byte === expected[i]) ? view.getUint32(0) : undefined;
}

/** Opens the store of this kind; the database of the `kv` one closes with it. */
export async function openCrashStore(kind: string, directory: string): Promise<ByteStore> {
  if (kind === "fs") return await openFs(directory);
  const kv = await Deno.openKv(`${directory}/kv`);
  const store = openDenoKv(kv);
  store[Symbol.asyncDispose] = () => Promise.resolve(kv.close());
  return store;
}
