/** SHA-256 in one call, portable. For streams take a `HashProvider`: a platform's own is several times faster. */
import { createSHA256 } from "hash-wasm";
import type { Bytes } from "../bytes/bytes.ts";

const one = await createSHA256();

/** The digest (32 bytes) of all these bytes. */
export function sha256(bytes: Bytes): Bytes {
  return one.init().update(bytes).digest("binary") as Bytes;
}
