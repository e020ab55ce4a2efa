/** BLAKE3-256. */
import { createBLAKE3 } from "hash-wasm";
import type { Bytes } from "../bytes/bytes.ts";
import type { Hasher } from "./hasher.ts";

const one = await createBLAKE3();

/** The digest (32 bytes) of all these bytes. */
export function blake3(bytes: Bytes): Bytes {
  return one.init().update(bytes).digest("binary") as Bytes;
}

/** Starts an incremental hash; any number may be under way at once. */
export async function createBlake3(): Promise<Hasher> {
  const hasher = await createBLAKE3();
  hasher.init();
  return { update: (bytes) => void hasher.update(bytes), digest: () => hasher.digest("binary") as Bytes };
}
