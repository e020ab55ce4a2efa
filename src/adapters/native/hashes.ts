/** The hashes of Nix's text formats from `node:crypto`: SHA-256 is about five times as fast as the portable one. */
import { createHash } from "node:crypto";
import type { Bytes } from "../../bytes/bytes.ts";
import type { HashProvider } from "../../hash/hasher.ts";

/** MD5, SHA-1, SHA-256 and SHA-512 of the platform. */
export const nativeHashes: HashProvider = {
  create(name) {
    const hash = createHash(name);
    return Promise.resolve({
      update: (bytes) => void hash.update(bytes),
      digest: () => new Uint8Array(hash.digest()) as Bytes,
    });
  },
};
