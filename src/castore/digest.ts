/**
 * BLAKE3-256 digests, the names of blobs and Directories. Text form: `blake3-` and standard padded base64; the older
 * `b3:` prefix is read too. Keys of the store use lower-case hex.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { fromBase64, toBase64 } from "../bytes/base64.ts";
import { FormatError } from "../errors.ts";

/** 32 bytes. */
export type Digest = Bytes;

/** Bytes in a digest. */
export const DIGEST_LENGTH = 32;

/** `blake3-<base64>`. */
export function formatDigest(digest: Uint8Array): string {
  return "blake3-" + toBase64(digest);
}

/** Reads `blake3-<base64>` or `b3:<base64>`. Throws {@link FormatError} for anything else. */
export function parseDigest(text: string): Digest {
  const match = /^(?:blake3-|b3:)(.*)$/s.exec(text);
  if (match) {
    const digest = fromBase64(match[1]);
    if (digest.length === DIGEST_LENGTH) return digest;
  }
  throw new FormatError(
    "digest",
    `Cannot read digest ${JSON.stringify(text.slice(0, 80))}: want blake3-<base64>`,
  );
}
