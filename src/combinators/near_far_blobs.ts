/**
 * Blobs of a near store in front of a far one, see `near_far.ts`. A short blob is fetched and kept whole; a long one chunk by
 * chunk, those that are read. Its chunk list is kept near once all of it was read and had the blob's digest: from then
 * on far is not needed for it. Its outboard is kept when it was asked for; one that is not of the size that the chunks
 * give is not used.
 */
import { type Bytes, concat, equals } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { Lru } from "../bytes/lru.ts";
import type { BlobReader, BlobService, ChunkMeta } from "../castore/blob_service.ts";
import { blobsOver } from "../castore/blobs_over.ts";
import { type ByteRange, type ByteStore, MAX_VALUE_LENGTH } from "../castore/byte_store.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { blobKey, chunkKey, decodeChunkList, encodeChunkList, getLong, putLong } from "../castore/layout.ts";
import { getOutboard, hashBao, putOutboard } from "../castore/outboards.ts";
import { DamageError } from "../errors.ts";
import { verifyOutboard } from "../hash/bao_outboard.ts";
import { blake3 } from "../hash/blake3.ts";
import { DEFAULT_CHUNK_SIZES } from "../hash/fastcdc.ts";
import { type ChunkSource, ChunkwiseReader, KeepingReader, ShortReader } from "./near_far_readers.ts";
import type { Forgiving } from "./near_far.ts";
import { SingleFlight } from "./single_flight.ts";

/** Bytes of what is being written that are held until far has confirmed it. */
export const KEPT_STREAM = 8 * 1024 * 1024;
/** Memory for lists of chunks that are not proven yet. */
const LISTS = 8 * 1024 * 1024;
/** Memory of one chunk in a list, about. */
const CHUNK_WEIGHT = 200;

/** A list of chunks as far gave it, and which of them are near. */
interface ClaimedList {
  readonly chunks: readonly ChunkMeta[];
  readonly near: Set<number>;
}

/** What far has under a digest. */
type Found =
  | { readonly type: "short"; readonly bytes: Bytes }
  | { readonly type: "chunks"; readonly list: ClaimedList }
  | { readonly type: "unsplit" };

export class NearFarBlobs implements BlobService {
  #store: ByteStore;
  #near: BlobService;
  #far: BlobService;
  #forgiving: Forgiving;
  #flight = new SingleFlight();
  #claimed = new Lru<string, ClaimedList>(LISTS);

  constructor(near: ByteStore, far: BlobService, forgiving: Forgiving) {
    this.#store = near;
    this.#near = blobsOver(near);
    this.#far = far;
    this.#forgiving = forgiving;
  }

  /** Far's answer: near has chunks that are no blobs there, of blobs that far cuts otherwise or not at all. */
  has(digest: Digest): Promise<boolean> {
    return this.#far.has(digest);
  }

  async open(digest: Digest, { range }: { range?: ByteRange } = {}): Promise<BlobReader | undefined> {
    const short = await this.#nearChunk(digest);
    if (short) return new ShortReader(short, range);
    const proven = await this.#nearList(digest);
    if (proven) return new ChunkwiseReader(digest, proven, range, this.#sourceOf(digest));
    const found = await this.#find(digest);
    if (!found) return undefined;
    if (found.type === "short") return new ShortReader(found.bytes, range);
    if (found.type === "unsplit") {
      const reader = await this.#far.open(digest, { range });
      return reader && (range ? reader : new KeepingReader(reader, this.#near, this.#forgiving));
    }
    return this.#openClaimed(digest, found.list, range);
  }

  async chunks(digest: Digest): Promise<readonly ChunkMeta[] | undefined> {
    const short = await this.#nearChunk(digest);
    if (short) return short.length === 0 ? [] : [{ digest, size: short.length }];
    const proven = await this.#nearList(digest);
    return proven ?? await this.#flight.run(`chunks ${toHex(digest)}`, () => this.#far.chunks(digest));
  }

  async outboard(digest: Digest): Promise<Bytes | undefined> {
    const short = await this.#nearChunk(digest);
    if (short) return hashBao(short).outboard;
    const proven = await this.#nearList(digest);
    const chunks = proven ?? await this.chunks(digest);
    if (!chunks) return undefined;
    const size = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
    const kept = await this.#forgiving.try(() => getOutboard(this.#store, digest, size)) ??
      (proven && await this.#forgiving.try(() => this.#near.outboard(digest)));
    return kept ?? await this.#flight.run(`outboard ${toHex(digest)}`, () => this.#farOutboard(digest, size));
  }

  put(source: Bytes | AsyncIterable<Bytes>): Promise<ChunkMeta> {
    return source instanceof Uint8Array ? this.#putBytes(source.slice()) : this.#putStream(source);
  }

  async #putBytes(bytes: Bytes): Promise<ChunkMeta> {
    const blob = await this.#far.put(bytes);
    await this.#forgiving.try(() => this.#near.put(bytes));
    return blob;
  }

  async #putStream(source: AsyncIterable<Bytes>): Promise<ChunkMeta> {
    let held: Bytes[] | undefined = [];
    let size = 0;
    const holding = async function* () {
      for await (const piece of source) {
        size += piece.length;
        if (size > KEPT_STREAM) held = undefined;
        held?.push(piece.slice());
        yield piece;
      }
    };
    const blob = await this.#far.put(holding());
    const pieces = held;
    if (pieces) await this.#forgiving.try(() => this.#near.put(concat(pieces)));
    return blob;
  }

  /** The outboard as far gives it, verified as far as the size is true, and kept. */
  async #farOutboard(digest: Digest, size: number): Promise<Bytes | undefined> {
    const outboard = await this.#far.outboard(digest);
    if (!outboard) return undefined;
    verifyOutboard({ digest, size, outboard });
    if (size > DEFAULT_CHUNK_SIZES.max) {
      await this.#forgiving.try(() => putOutboard(this.#store, digest, outboard));
    }
    return outboard;
  }

  /** Finds out what far has under a digest, and keeps it if it is short. */
  async #find(digest: Digest): Promise<Found | undefined> {
    const key = toHex(digest);
    const list = this.#claimed.get(key);
    if (list) return { type: "chunks", list };
    return await this.#flight.run(`find ${key}`, async () => {
      const reader = await this.#far.open(digest);
      if (!reader) return undefined;
      if (reader.size <= DEFAULT_CHUNK_SIZES.max) {
        const bytes = await reader.bytes();
        verify(digest, bytes);
        await this.#keepChunk(digest, bytes);
        return { type: "short", bytes };
      }
      const chunks = await this.#far.chunks(digest);
      if (!chunks) return undefined;
      if (chunks.some(({ size }) => size > MAX_VALUE_LENGTH)) return { type: "unsplit" };
      const list = { chunks, near: new Set<number>() };
      this.#claimed.set(key, list, chunks.length * CHUNK_WEIGHT);
      return { type: "chunks", list };
    });
  }

  #openClaimed(digest: Digest, list: ClaimedList, range: ByteRange | undefined): BlobReader {
    const source: ChunkSource = {
      read: async (chunk, start, i) => {
        const { bytes, near } = await this.#chunk(digest, chunk, start);
        if (near) list.near.add(i);
        return bytes;
      },
      proven: () => this.#keepList(digest, list),
      ended: async () => {
        // All chunks were read, though perhaps never in one go: reading them near proves the list.
        if (list.near.size !== list.chunks.length || this.#claimed.get(toHex(digest)) !== list) return;
        this.#claimed.delete(toHex(digest));
        await this.#openClaimed(digest, list, undefined).bytes();
      },
    };
    return new ChunkwiseReader(digest, list.chunks, range, source);
  }

  /** Reads the chunks of a proven list. */
  #sourceOf(digest: Digest): ChunkSource {
    return { read: async (chunk, start) => (await this.#chunk(digest, chunk, start)).bytes };
  }

  /** A chunk of a blob, `start` bytes from its beginning: from near, else from far and kept; and whether it is near now. */
  async #chunk(blob: Digest, chunk: ChunkMeta, start: number): Promise<{ bytes: Bytes; near: boolean }> {
    const kept = await this.#nearChunk(chunk.digest);
    if (kept) return { bytes: kept, near: true };
    return await this.#flight.run(`chunk ${toHex(chunk.digest)}`, async () => {
      // By its own digest: for a part of the blob far may want to see more than that part, to verify it.
      const reader = chunk.size <= DEFAULT_CHUNK_SIZES.max
        ? await this.#far.open(chunk.digest)
        : await this.#far.open(blob, { range: { start, end: start + chunk.size } });
      const bytes = await reader?.bytes();
      if (!bytes) throw gone(blob, chunk);
      verify(chunk.digest, bytes);
      return { bytes, near: await this.#keepChunk(chunk.digest, bytes) };
    });
  }

  async #nearChunk(digest: Digest): Promise<Bytes | undefined> {
    return await this.#forgiving.try(async () => {
      const bytes = await this.#store.get(chunkKey(digest));
      if (bytes) verify(digest, bytes);
      return bytes;
    });
  }

  async #nearList(digest: Digest): Promise<ChunkMeta[] | undefined> {
    return await this.#forgiving.try(async () => {
      const key = blobKey(digest);
      const list = await getLong(this.#store, key);
      return list && decodeChunkList(list, key);
    });
  }

  /** Returns whether it was kept. */
  async #keepChunk(digest: Digest, bytes: Bytes): Promise<boolean> {
    const keeping = this.#forgiving.try(async () => {
      await this.#store.put(chunkKey(digest), bytes);
      return true;
    });
    return await keeping ?? false;
  }

  async #keepList(digest: Digest, { chunks }: ClaimedList): Promise<void> {
    this.#claimed.delete(toHex(digest));
    if (chunks.length < 2) return; // it is its chunk
    await this.#forgiving.try(() => putLong(this.#store, blobKey(digest), encodeChunkList(chunks)));
  }
}

function verify(digest: Digest, bytes: Bytes): void {
  if (!equals(blake3(bytes), digest)) throw new DamageError("blob", formatDigest(digest));
}

function gone(blob: Digest, chunk: ChunkMeta): DamageError {
  const name = formatDigest(blob);
  const message = `Cannot read blob ${name}: its chunk ${formatDigest(chunk.digest)} is gone`;
  return new DamageError("blob", name, message);
}
