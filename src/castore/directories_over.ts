/**
 * Directories on a ByteStore: one value each, verified whenever it is read.
 */
import { Background } from "../bytes/background.ts";
import { type Bytes, equals } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { DamageError, MissingError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import type { ByteStore } from "./byte_store.ts";
import { LeavesFirstCheck } from "./closure.ts";
import { type Digest, formatDigest } from "./digest.ts";
import { type Directory, encodeDirectory } from "./directory.ts";
import type { DirectoryService, NamedDirectory } from "./directory_service.ts";
import { directoryKey, getLong, putLong } from "./layout.ts";
import { decodeDirectory, directoryItems } from "./read_directory.ts";

/** Bytes of encoded Directories that may wait to be stored. */
const WRITE_WINDOW = 16 * 1024 * 1024;
/** Directories asked for ahead of the reader. */
const READ_AHEAD = 64;

/** A {@link DirectoryService} that keeps its Directories in a ByteStore. */
export function directoriesOver(store: ByteStore): DirectoryService {
  return new DirectoriesOver(store);
}

class DirectoriesOver implements DirectoryService {
  #store: ByteStore;

  constructor(store: ByteStore) {
    this.#store = store;
  }

  async get(digest: Digest): Promise<Directory | undefined> {
    const encoded = await this.#read(digest);
    return encoded && decodeDirectory(encoded);
  }

  async *getClosure(root: Digest): AsyncGenerator<NamedDirectory, void, void> {
    const seen = new Set([toHex(root)]);
    const waiting: Digest[] = [root];
    const asked: { digest: Digest; encoded: Promise<Bytes | undefined> }[] = [];
    for (let first = true;; first = false) {
      while (waiting.length > 0 && asked.length < READ_AHEAD) {
        const digest = waiting.shift()!;
        const encoded = this.#read(digest);
        encoded.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
        asked.push({ digest, encoded });
      }
      const next = asked.shift();
      if (!next) return;
      const encoded = await next.encoded;
      if (!encoded) {
        if (first) return;
        throw new MissingError("directory", formatDigest(next.digest));
      }
      yield new Named(next.digest, encoded);
      for (const { node } of directoryItems(encoded)) {
        if (node.type !== "directory") continue;
        const key = toHex(node.digest);
        if (seen.has(key)) continue;
        seen.add(key);
        waiting.push(node.digest);
      }
    }
  }

  /** The encoding, which has the digest. */
  async #read(digest: Digest): Promise<Bytes | undefined> {
    const encoded = await getLong(this.#store, directoryKey(digest));
    if (encoded === undefined) return undefined;
    if (!equals(blake3(encoded), digest)) throw new DamageError("directory", formatDigest(digest));
    // A copy, because items are views of it, and what the store gave may be a view of something much larger.
    return encoded.slice();
  }

  async putClosure(leavesFirst: Iterable<Directory> | AsyncIterable<Directory>): Promise<Digest> {
    const check = new LeavesFirstCheck();
    const writes = new Background(WRITE_WINDOW);
    try {
      for await (const directory of leavesFirst) {
        const encoded = encodeDirectory(directory);
        const digest = blake3(encoded);
        check.add(directory, digest);
        await writes.room(encoded.length);
        writes.follow(encoded.length, putLong(this.#store, directoryKey(digest), encoded));
      }
    } finally {
      await writes.idle();
    }
    writes.check();
    return check.root();
  }
}

class Named implements NamedDirectory {
  constructor(readonly digest: Digest, readonly encoded: Bytes) {}

  get directory(): Directory {
    return decodeDirectory(this.encoded);
  }
}
