/**
 * Directories that a tab lacks, from a firn server. If the root's children are all unknown here it asks for the whole
 * closure, one round trip; else it walks down level by level and asks only for what is new, which between two versions of
 * a package is little.
 */
import type { FirnContents } from "../../src/adapters/nix_http/firn_contents.ts";
import { Background } from "../../src/bytes/background.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { type Digest, formatDigest } from "../../src/castore/digest.ts";
import { directoryKey, getLong, putLong } from "../../src/castore/layout.ts";
import type { Node } from "../../src/castore/node.ts";
import { decodeDirectory, directoryItems } from "../../src/castore/read_directory.ts";
import { LimitError, MissingError } from "../../src/errors.ts";
import type { Job } from "./job.ts";

/** Bytes of Directories that may be on their way into the store. */
const WRITE_WINDOW = 16 * 1024 * 1024;
/** Most distinct Directories of one path. */
const MOST_DIRECTORIES = 4_000_000;
/** Looks into the store that are under way at once. */
const LOOKS = 256;

/** Brings a node's Directories here: resolves when all are. Throws {@link MissingError} for one the server has not. */
export async function fetchDirectories(
  node: Node,
  store: ByteStore,
  contents: FirnContents,
  job: Job,
): Promise<void> {
  if (node.type !== "directory") return;
  await new Walk(store, contents, job).run(node.digest);
}

class Walk {
  readonly #seen = new Set<string>();
  readonly #writes = new Background(WRITE_WINDOW);

  constructor(readonly store: ByteStore, readonly contents: FirnContents, readonly job: Job) {}

  async run(root: Digest): Promise<void> {
    try {
      let level = await this.#look([root]);
      for (let depth = 0; level.length > 0; depth++) {
        this.job.signal.throwIfAborted();
        const asked = level.filter(({ encoded }) => encoded === undefined);
        // The root was new, and so is everything in it: then most likely all of it is.
        if (depth === 1 && asked.length === level.length) {
          await this.#fetchClosure(root);
          break;
        }
        await this.#fetch(asked);
        const below: Digest[] = [];
        for (const { encoded } of level) {
          for (const { node } of directoryItems(encoded!)) {
            if (node.type === "directory" && this.#isNew(node.digest)) below.push(node.digest);
          }
        }
        level = await this.#look(below);
      }
    } finally {
      await this.#writes.idle();
    }
    this.#writes.check();
  }

  #isNew(digest: Digest): boolean {
    const key = toHex(digest);
    if (this.#seen.has(key)) return false;
    if (this.#seen.size >= MOST_DIRECTORIES) {
      throw new LimitError(MOST_DIRECTORIES, `Cannot open the path: it has over ${MOST_DIRECTORIES} folders`);
    }
    this.#seen.add(key);
    return true;
  }

  async #look(digests: readonly Digest[]): Promise<{ digest: Digest; encoded: Bytes | undefined }[]> {
    const found: { digest: Digest; encoded: Bytes | undefined }[] = [];
    for (let at = 0; at < digests.length; at += LOOKS) {
      const looks = digests.slice(at, at + LOOKS).map(async (digest) => ({
        digest,
        encoded: await getLong(this.store, directoryKey(digest)),
      }));
      found.push(...await Promise.all(looks));
    }
    return found;
  }

  async #fetch(lacking: { digest: Digest; encoded: Bytes | undefined }[]): Promise<void> {
    let i = 0;
    for await (const encoded of this.contents.readDirectories(lacking.map(({ digest }) => digest))) {
      const directory = lacking[i++];
      if (!encoded) throw new MissingError("directory", formatDigest(directory.digest));
      directory.encoded = await this.#keep(directory.digest, encoded);
    }
  }

  async #fetchClosure(root: Digest): Promise<void> {
    // What comes is verified against what was named before it, so that nothing is kept that nobody refers to.
    const wanted = new Set([toHex(root)]);
    const named = new Set(wanted);
    for await (const { digest, encoded } of this.contents.readClosure(root)) {
      this.job.signal.throwIfAborted();
      if (!wanted.delete(toHex(digest))) continue;
      await this.#keep(digest, encoded);
      for (const { node } of directoryItems(encoded)) {
        if (node.type !== "directory") continue;
        const key = toHex(node.digest);
        if (!named.has(key)) wanted.add(key);
        named.add(key);
      }
    }
    for (const missing of wanted) throw new MissingError("directory", missing);
  }

  async #keep(digest: Digest, encoded: Bytes): Promise<Bytes> {
    decodeDirectory(encoded); // canonical and lawful, not just of this digest
    await this.#writes.room(encoded.length);
    this.#writes.follow(encoded.length, putLong(this.store, directoryKey(digest), encoded));
    return encoded;
  }
}
