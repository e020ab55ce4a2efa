/** The hashes of Nix's text formats, portable: where a platform has nothing faster to hand in. */
import { createMD5, createSHA1, createSHA256, createSHA512 } from "hash-wasm";
import type { Hasher, HashName, HashProvider } from "./hasher.ts";
import { hashersOver } from "./shared_instance.ts";

const INSTANCES = { md5: createMD5, sha1: createSHA1, sha256: createSHA256, sha512: createSHA512 };
const starts = new Map<HashName, Promise<() => Hasher>>();

/** MD5, SHA-1, SHA-256 and SHA-512 in WASM, compiled at first use. */
export const portableHashes: HashProvider = {
  async create(name) {
    let start = starts.get(name);
    if (!start) starts.set(name, start = INSTANCES[name]().then(hashersOver));
    return (await start)();
  },
};
