/**
 * Blobs on a ByteStore: cut into chunks by content (FastCDC), each chunk one value, verified whenever it is read.
 */
import { Background } from "../bytes/background.ts";
import { Budget } from "../bytes/budget.ts";
import { type Bytes, concat, EMPTY, equals } from "../bytes/bytes.ts";
import { DamageError } from "../errors.ts";
import { createBao } from "../hash/bao.ts";
import { blake3, createBlake3, kernelName } from "../hash/blake3.ts";
import { DEFAULT_CHUNK_SIZES } from "../hash/fastcdc.ts";
import type { Hasher } from "../hash/hasher.ts";
import type { BlobReader, BlobService, ChunkMeta } from "./blob_service.ts";
import type { ByteRange, ByteStore } from "./byte_store.ts";
import { chunksOf, chunkStream } from "./chunking.ts";
import { type Digest, formatDigest } from "./digest.ts";
import { blobKey, chunkKey, decodeChunkList, encodeChunkList, getLong, putLong } from "./layout.ts";
import { hashBao, Outboards, putOutboard } from "./outboards.ts";

/** Bytes of one blob's chunks that may be on their way to the store: enough that it always has some to write. */
const WRITE_WINDOW = 24 * 1024 * 1024;
/** Bytes of one blob's chunks that are read ahead of the reader. */
const READ_AHEAD = 8 * 1024 * 1024;
/** When so many are left, more are asked for: many at once, as a store may read neighbours together. */
const READ_MORE = READ_AHEAD / 2;
/**
 * The same of all blobs together: many readers that are slow must not hold much each. One that finds nothing left reads
 * chunk by chunk.
 */
const ALL_READ_AHEAD = 64 * 1024 * 1024;
/**
 * Whether blobs get their outboards while they are stored: in the same pass, which costs nearly nothing, except without
 * the kernel, where it would take twenty times as long. Then they are made when they are asked for.
 */
const OUTBOARDS_AT_ONCE = kernelName === "wasm-simd";

/** A {@link BlobService} that keeps its blobs in a ByteStore. */
export function blobsOver(store: ByteStore): BlobService {
  return new BlobsOver(store);
}

class BlobsOver implements BlobService {
  #store: ByteStore;
  #ahead = new Budget(ALL_READ_AHEAD);
  #outboards: Outboards;

  constructor(store: ByteStore) {
    this.#store = store;
    this.#outboards = new Outboards(store);
  }

  async has(digest: Digest): Promise<boolean> {
    return await this.#store.has(chunkKey(digest)) || await this.#store.has(blobKey(digest));
  }

  async open(digest: Digest, options: { range?: ByteRange } = {}): Promise<BlobReader | undefined> {
    const whole = await this.#store.get(chunkKey(digest));
    if (whole) {
      verify(digest, whole);
      const bytes = options.range
        ? whole.subarray(options.range.start, Math.max(options.range.start, options.range.end))
        : whole;
      return new OneChunkReader(whole.length, bytes);
    }
    const chunks = await this.#chunkList(digest);
    return chunks && new ManyChunksReader(this.#store, this.#ahead, digest, chunks, options.range);
  }

  atHand(digest: Digest): Bytes | undefined {
    const bytes = this.#store.atHand?.(chunkKey(digest));
    if (bytes) verify(digest, bytes);
    return bytes;
  }

  put(source: Bytes | AsyncIterable<Bytes>): Promise<ChunkMeta> {
    if (!(source instanceof Uint8Array)) return this.#putStream(source);
    if (source.length > DEFAULT_CHUNK_SIZES.min) return this.#putBytes(source);
    const blob = { digest: blake3(source), size: source.length };
    return this.#store.put(chunkKey(blob.digest), source).then(() => blob);
  }

  async chunks(digest: Digest): Promise<readonly ChunkMeta[] | undefined> {
    const whole = await this.#store.get(chunkKey(digest));
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
    const list = await getLong(this.#store, key);
    return list && decodeChunkList(list, key);
  }

  async #putBytes(bytes: Bytes): Promise<ChunkMeta> {
    const size = bytes.length;
    const chunks = [...chunksOf(bytes)];
    if (chunks.length === 1) {
      const digest = blake3(bytes);
      await this.#store.put(chunkKey(digest), bytes);
      return { digest, size };
    }
    const { digest, outboard } = OUTBOARDS_AT_ONCE ? hashBao(bytes) : { digest: blake3(bytes) };
    const metas: ChunkMeta[] = [];
    const stored = chunks.map((chunk) => {
      const chunkDigest = blake3(chunk);
      metas.push({ digest: chunkDigest, size: chunk.length });
      return this.#store.put(chunkKey(chunkDigest), chunk);
    });
    if (outboard) stored.push(putOutboard(this.#store, digest, outboard));
    await settle(stored);
    await putLong(this.#store, blobKey(digest), encodeChunkList(metas));
    return { digest, size };
  }

  async #putStream(source: AsyncIterable<Bytes>): Promise<ChunkMeta> {
    const bao = OUTBOARDS_AT_ONCE ? createBao() : undefined;
    const hasher: Hasher = bao ?? createBlake3();
    const metas: ChunkMeta[] = [];
    const writes = new Background(WRITE_WINDOW);
    let size = 0;
    let digest: Digest;
    try {
      for await (const chunk of chunkStream(source)) {
        size += chunk.length;
        hasher.update(chunk);
        const chunkDigest = blake3(chunk);
        metas.push({ digest: chunkDigest, size: chunk.length });
        await writes.room(chunk.length);
        writes.follow(chunk.length, this.#store.put(chunkKey(chunkDigest), chunk));
      }
      digest = hasher.digest();
      if (bao && metas.length > 1) {
        const outboard = bao.outboard();
        await writes.room(outboard.length);
        writes.follow(outboard.length, putOutboard(this.#store, digest, outboard));
      }
    } finally {
      await writes.idle();
    }
    writes.check();
    if (metas.length === 0) await this.#store.put(chunkKey(digest), EMPTY);
    else if (metas.length > 1) await putLong(this.#store, blobKey(digest), encodeChunkList(metas));
    return { digest, size };
  }
}

/** Waits for all, then throws the first failure: nothing goes on behind the caller's back. */
async function settle(promises: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) {
    if (result.status === "rejected") throw result.reason;
  }
}

function verify(digest: Digest, bytes: Bytes): void {
  if (!equals(blake3(bytes), digest)) throw new DamageError("blob", formatDigest(digest));
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
  #store: ByteStore;
  #ahead: Budget;
  #digest: Digest;
  #chunks: ChunkMeta[];
  #range: ByteRange;

  constructor(
    store: ByteStore,
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
    let inFlight = 0;
    try {
      for (let next = covered.next();;) {
        const full = inFlight <= READ_MORE ? READ_AHEAD : 0;
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
    const bytes = await this.#store.get(chunkKey(chunk.digest));
    if (!bytes) {
      throw new DamageError(
        "blob",
        formatDigest(this.#digest),
        `Cannot read blob ${formatDigest(this.#digest)}: its chunk ${formatDigest(chunk.digest)} is gone`,
      );
    }
    if (bytes.length !== chunk.size) throw new DamageError("chunk", formatDigest(chunk.digest));
    verify(chunk.digest, bytes);
    return bytes;
  }
}
