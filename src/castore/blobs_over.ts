/**
 * Blobs on a ByteStore: cut into chunks by content (FastCDC), each chunk one value, verified whenever it is read.
 */
import { Background } from "../bytes/background.ts";
import { Budget } from "../bytes/budget.ts";
import { type Bytes, concat, EMPTY } from "../bytes/bytes.ts";
import { DamageError } from "../errors.ts";
import { BlobHasher } from "../hash/blob_hasher.ts";
import { blake3 } from "../hash/blake3.ts";
import { type BlobHashes, ownHashes } from "../hash/blob_hashes.ts";
import { DEFAULT_CHUNK_SIZES } from "../hash/fastcdc.ts";
import { type BlobReader, type BlobService, type ChunkMeta, SHORT_LENGTH } from "./blob_service.ts";
import type { ByteRange, ByteStore } from "./byte_store.ts";
import { allOf, ChunkStore } from "./chunk_store.ts";
import { chunkStream } from "./chunking.ts";
import { type Digest, formatDigest } from "./digest.ts";
import { blobKey, chunkKey, decodeChunkList, encodeChunkList, getLong, putLong } from "./layout.ts";
import type { StoredForm } from "./stored_form.ts";
import { hashBao, Outboards, putOutboard } from "./outboards.ts";

/** Bytes of one blob's chunks that may be on their way to the store: enough that it always has some to write. */
const WRITE_WINDOW = 24 * 1024 * 1024;
/**
 * Bytes of one blob's chunks that are read ahead of the reader, unless the store wants more. When half of them are left, more are asked
 * for: many at once, as a store may read neighbours together.
 */
const READ_AHEAD = 4 * 1024 * 1024;
/**
 * The same of all blobs together: many readers that are slow must not hold much each. One that finds nothing left reads
 * chunk by chunk.
 */
const ALL_READ_AHEAD = 64 * 1024 * 1024;
/** A {@link BlobService} that keeps its blobs in a ByteStore. @param hashes who hashes; default this thread */
export function blobsOver(store: ByteStore, hashes: BlobHashes = ownHashes): BlobService {
  return new BlobsOver(new ChunkStore(store, hashes));
}

class BlobsOver implements BlobService {
  #chunks: ChunkStore;
  readonly readAhead: number | undefined;
  #ahead = new Budget(ALL_READ_AHEAD);
  #outboards: Outboards;

  constructor(chunks: ChunkStore) {
    this.#chunks = chunks;
    this.#outboards = new Outboards(chunks.store);
    const { store } = chunks;
    this.readAhead = store.readAhead;
    if (store.hurry) this.hurry = () => store.hurry!();
    if (store.getStored) this.getStored = (digests) => chunks.getStored(digests);
  }

  getStored?: (digests: readonly Digest[]) => Promise<(StoredForm | undefined)[]>;
  hurry?: () => () => void;

  async has(digest: Digest): Promise<boolean> {
    const { store } = this.#chunks;
    return await store.has(chunkKey(digest)) || await store.has(blobKey(digest));
  }

  async open(digest: Digest, options: { range?: ByteRange } = {}): Promise<BlobReader | undefined> {
    const whole = await this.#chunks.get(digest);
    if (whole) {
      const bytes = options.range
        ? whole.subarray(options.range.start, Math.max(options.range.start, options.range.end))
        : whole;
      return new OneChunkReader(whole.length, bytes);
    }
    const chunks = await this.#chunkList(digest);
    return chunks && new ManyChunksReader(this.#chunks, this.#ahead, digest, chunks, options.range);
  }

  getAll(digests: readonly Digest[]): Promise<(Bytes | undefined)[]> {
    return this.#chunks.getAll(digests);
  }

  put(source: Bytes | AsyncIterable<Bytes>): Promise<ChunkMeta> {
    if (!(source instanceof Uint8Array)) return this.#putStream(source);
    return source.length > SHORT_LENGTH ? this.#putBytes(source) : this.#chunks.put(source, blake3(source));
  }

  putAll(blobs: readonly Bytes[]): Promise<ChunkMeta[]> {
    return this.#chunks.putAll(blobs);
  }

  async chunks(digest: Digest): Promise<readonly ChunkMeta[] | undefined> {
    const whole = await this.#chunks.get(digest);
    if (whole) return whole.length === 0 ? [] : [{ digest, size: whole.length }];
    return await this.#chunkList(digest);
  }

  async outboard(digest: Digest): Promise<Bytes | undefined> {
    const blob = await this.open(digest);
    if (!blob) return undefined;
    if (blob instanceof OneChunkReader) return hashBao(await blob.bytes()).outboard;
    return await this.#outboards.get(digest, blob);
  }

  async #chunkList(digest: Digest): Promise<ChunkMeta[] | undefined> {
    const key = blobKey(digest);
    const list = await getLong(this.#chunks.store, key);
    return list && decodeChunkList(list, key);
  }

  async #putBytes(bytes: Bytes): Promise<ChunkMeta> {
    const hasher = new BlobHasher(this.#chunks.hashes);
    const stored: Promise<ChunkMeta>[] = [];
    for (let at = 0; at < bytes.length;) {
      const { length, digest } = hasher.cut(bytes.subarray(at, at + DEFAULT_CHUNK_SIZES.max));
      stored.push(this.#chunks.put(bytes.subarray(at, at + length), digest));
      at += length;
    }
    return await this.#finish(hasher, await allOf(stored));
  }

  async #putStream(source: AsyncIterable<Bytes>): Promise<ChunkMeta> {
    const hasher = new BlobHasher(this.#chunks.hashes);
    const metas: ChunkMeta[] = [];
    const writes = new Background(WRITE_WINDOW);
    let index = 0;
    try {
      for await (const { chunk, digest } of chunkStream(source, (ahead) => hasher.cut(ahead))) {
        const place = index++;
        await writes.room(chunk.length);
        writes.follow(
          chunk.length,
          this.#chunks.put(chunk, digest).then((meta) => {
            metas[place] = meta;
          }),
        );
      }
    } finally {
      await writes.idle();
    }
    writes.check();
    return await this.#finish(hasher, metas);
  }

  /** Makes a blob of its chunks, which are durable. */
  async #finish(hasher: BlobHasher, metas: readonly ChunkMeta[]): Promise<ChunkMeta> {
    const { store } = this.#chunks;
    const { digest, size, outboard } = await hasher.end();
    if (metas.length === 0) await store.put(chunkKey(digest), EMPTY);
    else if (metas.length > 1) {
      if (outboard) await putOutboard(store, digest, outboard);
      await putLong(store, blobKey(digest), encodeChunkList(metas));
    }
    return { digest, size };
  }
}

class OneChunkReader implements BlobReader {
  constructor(readonly size: number, readonly part: Bytes) {}

  bytes(): Promise<Bytes> {
    return Promise.resolve(this.part);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    if (this.part.length > 0) yield await this.part;
  }
}

/** A chunk that was asked for. */
interface Asked {
  /** Where in the blob it begins. */
  readonly start: number;
  readonly bytes: Promise<Bytes>;
  readonly size: number;
  /** What it takes of what all readers may read ahead. */
  readonly taken: number;
}

class ManyChunksReader implements BlobReader {
  readonly size: number;
  #store: ChunkStore;
  #ahead: Budget;
  #digest: Digest;
  #chunks: ChunkMeta[];
  #range: ByteRange;

  constructor(
    store: ChunkStore,
    ahead: Budget,
    digest: Digest,
    chunks: ChunkMeta[],
    range: ByteRange | undefined,
  ) {
    this.#store = store;
    this.#ahead = ahead;
    this.#digest = digest;
    this.#chunks = chunks;
    this.size = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
    this.#range = range ?? { start: 0, end: this.size };
  }

  async bytes(): Promise<Bytes> {
    const parts: Bytes[] = [];
    for await (const part of this) parts.push(part);
    return concat(parts);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    const covered = this.#covered();
    const asked: Asked[] = [];
    const most = Math.max(READ_AHEAD, this.#store.store.readAhead ?? 0);
    let inFlight = 0;
    try {
      for (let next = covered.next();;) {
        const full = inFlight <= most / 2 ? most : 0;
        while (!next.done) {
          const { chunk, start } = next.value;
          const ahead = asked.length > 0;
          if (ahead && (inFlight >= full || !this.#ahead.tryTake(chunk.size))) break;
          const bytes = this.#read(chunk);
          bytes.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
          asked.push({ start, bytes, size: chunk.size, taken: ahead ? chunk.size : 0 });
          inFlight += chunk.size;
          next = covered.next();
        }
        if (asked.length === 0) return;
        const first = asked[0];
        const bytes = await first.bytes;
        yield bytes.subarray(
          Math.max(0, this.#range.start - first.start),
          Math.max(0, this.#range.end - first.start),
        );
        asked.shift();
        inFlight -= first.size;
        this.#ahead.give(first.taken);
      }
    } finally {
      // What is still being read is held until it is there, wanted or not.
      for (const { bytes, taken } of asked) bytes.catch(() => {}).then(() => this.#ahead.give(taken));
    }
  }

  /** The chunks that the range touches, and where in the blob they begin. */
  *#covered(): Generator<{ chunk: ChunkMeta; start: number }, undefined, void> {
    let start = 0;
    for (const chunk of this.#chunks) {
      if (start >= this.#range.end) return;
      if (start + chunk.size > this.#range.start) yield { chunk, start };
      start += chunk.size;
    }
  }

  async #read(chunk: ChunkMeta): Promise<Bytes> {
    const bytes = await this.#store.get(chunk.digest);
    if (!bytes) {
      throw new DamageError(
        "blob",
        formatDigest(this.#digest),
        `Cannot read blob ${formatDigest(this.#digest)}: its chunk ${formatDigest(chunk.digest)} is gone`,
      );
    }
    if (bytes.length !== chunk.size) throw new DamageError("chunk", formatDigest(chunk.digest));
    return bytes;
  }
}
