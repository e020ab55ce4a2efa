/**
 * The text a binary cache signs.
 *
 *   fingerprint := `1;` storePath `;sha256:` nixbase32 `;` narSize `;` [ reference { `,` reference } ]
 *
 * Paths are absolute. Nix signs a set of references: sorted, each once. Some tools signed them in the order they
 * wrote them in, and old narinfos of public caches verify only so. URL, Compression, Deriver and CA are not signed.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { formatNixHash } from "./hash_text.ts";
import { formatStorePath, sortStorePaths, type StorePath } from "./store_path.ts";

/** What a signature vouches for. */
export interface Signed {
  readonly storePath: StorePath;
  /** SHA-256 of the NAR. */
  readonly narHash: Bytes;
  /** Bytes in the NAR. */
  readonly narSize: number;
  readonly references: readonly StorePath[];
}

/** The text to sign: references sorted, each once. */
export function fingerprint(signed: Signed, storeDir?: string): string {
  return fingerprintOf(signed, sortStorePaths(signed.references), storeDir);
}

/**
 * The texts a signature may be of, likeliest first: {@link fingerprint}, and the one with the references as they
 * were written if that differs. They say the same, so whichever verifies will do.
 */
export function fingerprints(signed: Signed, storeDir?: string): string[] {
  const asWritten = fingerprintOf(signed, signed.references, storeDir);
  return [...new Set([fingerprint(signed, storeDir), asWritten])];
}

function fingerprintOf(signed: Signed, references: readonly StorePath[], storeDir?: string): string {
  const path = formatStorePath(signed.storePath, storeDir);
  const below = references.map((reference) => formatStorePath(reference, storeDir)).join(",");
  return `1;${path};${formatNixHash("sha256", signed.narHash)};${signed.narSize};${below}`;
}
