/**
 * Chunks in a ByteStore, hashed when they are stored and verified whenever they are read; many at a time where many are asked
 * for.
 */
import { BufferPool } from "../bytes/buffer_pool.ts";
import { type Bytes, equals } from "../bytes/bytes.ts";
import { DamageError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import { type BlobHashes, MOST_AT_ONCE } from "../hash/blob_hashes.ts";
import type { ChunkMeta } from "./blob_service.ts";
import type { ByteStore } from "./byte_store.ts";
import { type Digest, formatDigest } from "./digest.ts";
import { chunkKey } from "./layout.ts";
import type { StoredForm } from "./stored_form.ts";

/** So few bytes are hashed here, whoever else could. */
const FEW = 32 * 1024;
/** Buffers kept for chunks that are hashed elsewhere. */
const BUFFERS = 16;

export class ChunkStore {
  readonly store: ByteStore;
  readonly hashes: BlobHashes;
  #buffers = new BufferPool(MOST_AT_ONCE, BUFFERS);

  constructor(store: ByteStore, hashes: BlobHashes) {
    this.store = store;
    this.hashes = hashes;
  }

  /** A chunk, if it is there. Throws {@link DamageError} if it is not what its digest says. */
  async get(digest: Digest): Promise<Bytes | undefined> {
    const bytes = await this.store.get(chunkKey(digest));
    if (!bytes) return undefined;
    const hashed = bytes.length <= FEW ? [blake3(bytes)] : this.hashes.digests([bytes]);
    const [actual] = hashed instanceof Promise ? await hashed : hashed;
    if (!equals(actual, digest)) throw new DamageError("blob", formatDigest(digest));
    return bytes;
  }

  /** The chunks that are there. Throws {@link DamageError} for one that is not what its digest says. */
  async getAll(digests: readonly Digest[]): Promise<(Bytes | undefined)[]> {
    const found = await this.#find(digests);
    const there = found.filter((bytes) => bytes !== undefined);
    const hashed = this.hashes.digests(there);
    const actual = hashed instanceof Promise ? await hashed : hashed;
    for (let i = 0, j = 0; i < found.length; i++) {
      if (found[i] && !equals(actual[j++], digests[i])) {
        throw new DamageError("blob", formatDigest(digests[i]));
      }
    }
    return found;
  }

  /**
   * The chunks that are there, as they are stored. Throws {@link DamageError} for a frame that is not what was written, and for plain
   * bytes that are not what their digest says.
   */
  async getStored(digests: readonly Digest[]): Promise<(StoredForm | undefined)[]> {
    const found = await this.store.getStored!(digests.map(chunkKey));
    const plain: Bytes[] = [];
    const digestOf: Digest[] = [];
    found.forEach((form, i) => {
      if (!form || form.frame) return;
      plain.push(form.bytes);
      digestOf.push(digests[i]);
    });
    const hashed = this.hashes.digests(plain);
    const actual = hashed instanceof Promise ? await hashed : hashed;
    actual.forEach((digest, i) => {
      if (!equals(digest, digestOf[i])) throw new DamageError("blob", formatDigest(digestOf[i]));
    });
    return found;
  }

  /** Stores a chunk whose digest may still be computed. The bytes are read at once. */
  async put(chunk: Bytes, digest: Digest | Promise<Digest>): Promise<ChunkMeta> {
    const size = chunk.length;
    if (!(digest instanceof Promise)) {
      await this.store.put(chunkKey(digest), chunk);
      return { digest, size };
    }
    const buffer = this.#buffers.take();
    buffer.set(chunk);
    let storing: Promise<void>;
    let known: Digest;
    try {
      known = await digest;
      storing = this.store.put(chunkKey(known), buffer.subarray(0, size));
    } finally {
      this.#buffers.give(buffer);
    }
    await storing;
    return { digest: known, size };
  }

  /** Stores chunks, which have at most 512 KiB together. They are read at once. */
  async putAll(chunks: readonly Bytes[]): Promise<ChunkMeta[]> {
    const hashed = this.hashes.digests(chunks);
    if (!(hashed instanceof Promise)) return await this.#putHashed(chunks, hashed);
    const buffer = this.#buffers.take();
    let at = 0;
    const copies = chunks.map((chunk) => {
      buffer.set(chunk, at);
      return buffer.subarray(at, at += chunk.length);
    });
    let stored: Promise<ChunkMeta[]>;
    try {
      stored = this.#putHashed(copies, await hashed);
    } finally {
      this.#buffers.give(buffer);
    }
    return await stored;
  }

  async #putHashed(chunks: readonly Bytes[], digests: readonly Digest[]): Promise<ChunkMeta[]> {
    const metas = chunks.map(({ length }, i) => ({ digest: digests[i], size: length }));
    // Neighbours share the promise of the pack they go to.
    const storing = new Set(chunks.map((chunk, i) => this.store.put(chunkKey(digests[i]), chunk)));
    await allOf([...storing]);
    return metas;
  }

  /** What is stored, not verified. */
  async #find(digests: readonly Digest[]): Promise<(Bytes | undefined)[]> {
    const { store } = this;
    const keys = digests.map(chunkKey);
    if (!store.atHand) return await Promise.all(keys.map((key) => store.get(key)));
    const found = keys.map((key) => store.atHand!(key));
    const first = found.indexOf(undefined);
    if (first < 0) return found;
    // Reading one may bring its neighbours to hand.
    found[first] = await store.get(keys[first]);
    return await Promise.all(
      found.map((bytes, i) =>
        bytes ?? (i === first ? undefined : store.atHand!(keys[i]) ?? store.get(keys[i]))
      ),
    );
  }
}

/** Waits for all, then throws the first failure: nothing goes on behind the caller's back. */
export async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}
