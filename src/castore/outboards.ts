/**
 * Outboards in a ByteStore, beside the blobs they are of. One is only a help: where it is missing or damaged it is made
 * anew from its blob. So nobody has to trust it, and it is verified whenever it is read.
 */
import { type Bytes, equals } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { Lru } from "../bytes/lru.ts";
import { DamageError } from "../errors.ts";
import { createBao, outboardOf } from "../hash/bao.ts";
import { verifyOutboard } from "../hash/bao_outboard.ts";
import type { BlobReader } from "./blob_service.ts";
import type { ByteStore } from "./byte_store.ts";
import { type Digest, formatDigest } from "./digest.ts";
import { decodeOutboard, encodeOutboard, getLong, outboardKey, putLong } from "./layout.ts";

/** Memory for outboards that were read: those of 4 GiB of blobs, so that many ranges of one cost one look. */
const HELD = 16 * 1024 * 1024;

/** The outboard that is stored of a blob of this size, verified. Throws {@link DamageError} if it is not its. */
export async function getOutboard(
  store: ByteStore,
  digest: Digest,
  size: number,
): Promise<Bytes | undefined> {
  const key = outboardKey(digest);
  const value = await getLong(store, key);
  if (!value) return undefined;
  const outboard = decodeOutboard(value, key);
  verifyOutboard({ digest, size, outboard });
  return outboard;
}

/** Stores an outboard, which is not verified. */
export async function putOutboard(store: ByteStore, digest: Digest, outboard: Bytes): Promise<void> {
  await putLong(store, outboardKey(digest), encodeOutboard(outboard));
}

/** The digest and the outboard of bytes that are at hand. */
export function hashBao(bytes: Bytes): { digest: Digest; outboard: Bytes } {
  const hasher = createBao();
  hasher.update(bytes);
  return { digest: hasher.digest(), outboard: hasher.outboard() };
}

/** The outboards of the blobs of a store. */
export class Outboards {
  #store: ByteStore;
  #held = new Lru<string, Bytes>(HELD);
  #asked = new Map<string, Promise<Bytes>>();

  constructor(store: ByteStore) {
    this.#store = store;
  }

  /** The outboard of this blob of the store. It is read at most once, however many ask at one time. */
  async get(digest: Digest, blob: BlobReader): Promise<Bytes> {
    const key = toHex(digest);
    const held = this.#held.get(key) ?? this.#asked.get(key);
    if (held) return await held;
    const asked = this.#find(digest, blob);
    this.#asked.set(key, asked);
    try {
      const outboard = await asked;
      this.#held.set(key, outboard, outboard.length);
      return outboard;
    } finally {
      this.#asked.delete(key);
    }
  }

  async #find(digest: Digest, blob: BlobReader): Promise<Bytes> {
    try {
      const stored = await getOutboard(this.#store, digest, blob.size);
      if (stored) return stored;
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      await this.#store.delete(outboardKey(digest)); // a store may keep what is there when it is put again
    }
    const made = await outboardOf(blob);
    if (!equals(made.digest, digest)) throw new DamageError("blob", formatDigest(digest));
    const outboard = made.outboard as Bytes;
    // Who asked has what was asked for. That there is no room to keep it costs the next one the same work.
    await putOutboard(this.#store, digest, outboard).catch(() => {});
    return outboard;
  }
}
