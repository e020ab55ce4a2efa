/** What a hash looks like to the rest of firn: a hasher in progress, and where hashers come from. */
import type { Bytes } from "../bytes/bytes.ts";

/** A hash in progress. */
export interface Hasher {
  /** Adds bytes. They are read before it returns: the caller may reuse them. */
  update(bytes: Bytes): void;
  /** Ends the hash and returns the digest. The hasher must not be used again. */
  digest(): Bytes;
}

/** The hashes Nix names in NarHash and CA fields. */
export type HashName = "md5" | "sha1" | "sha256" | "sha512";

/** Where hashes come from: the portable ones of `hash/hashes.ts`, or a platform's faster ones, handed in. */
export interface HashProvider {
  /** Starts a hash; any number may be under way at once. */
  create(name: HashName): Promise<Hasher>;
}

/** Bytes in a digest of each hash. */
export const HASH_LENGTHS: Readonly<Record<HashName, number>> = { md5: 16, sha1: 20, sha256: 32, sha512: 64 };
