/** Readers of blobs of a near store in front of a far one: short, by chunks, and of a blob that far does not split. */
import { type Bytes, concat, equals } from "../bytes/bytes.ts";
import { Channel } from "../bytes/channel.ts";
import type { BlobReader, BlobService, ChunkMeta } from "../castore/blob_service.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { DamageError } from "../errors.ts";
import { createBlake3 } from "../hash/blake3.ts";
import { DEFAULT_CHUNK_SIZES } from "../hash/fastcdc.ts";
import type { Forgiving } from "./near_far.ts";

/** The longest piece that is delivered. */
const PIECE = DEFAULT_CHUNK_SIZES.max;
/** Bytes of chunks that are read ahead of the reader. */
const READ_AHEAD = 6 * 1024 * 1024;
/** Bytes that may wait to be kept. */
const WRITE_WINDOW = 2 * 1024 * 1024;

async function bytesOf(reader: AsyncIterable<Bytes>): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const part of reader) parts.push(part);
  return concat(parts);
}

/** A blob that is here. */
export class ShortReader implements BlobReader {
  readonly size: number;
  #part: Bytes;

  constructor(whole: Bytes, range: ByteRange | undefined) {
    this.size = whole.length;
    this.#part = range ? whole.subarray(range.start, Math.max(range.start, range.end)) : whole;
  }

  bytes(): Promise<Bytes> {
    return Promise.resolve(this.#part);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    for (let at = 0; at < this.#part.length; at += PIECE) yield await this.#part.subarray(at, at + PIECE);
  }
}

/** Where the chunks of one blob come from. */
export interface ChunkSource {
  /** The bytes of chunk `i`, which begins at `start`, verified. */
  read(chunk: ChunkMeta, start: number, i: number): Promise<Bytes>;
  /** Told that the list is the blob's. Absent: that is known already, and all chunks together are not verified. */
  proven?(): Promise<void>;
  /** Told that the reader has come to its end. */
  ended?(): Promise<void>;
}

/** A blob by its chunks. */
export class ChunkwiseReader implements BlobReader {
  readonly size: number;
  #digest: Digest;
  #chunks: readonly ChunkMeta[];
  #range: ByteRange;
  #source: ChunkSource;

  constructor(
    digest: Digest,
    chunks: readonly ChunkMeta[],
    range: ByteRange | undefined,
    source: ChunkSource,
  ) {
    this.size = chunks.reduce((sum, { size }) => sum + size, 0);
    this.#digest = digest;
    this.#chunks = chunks;
    this.#range = range ?? { start: 0, end: this.size };
    this.#source = source;
  }

  bytes(): Promise<Bytes> {
    return bytesOf(this);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    const { start, end } = this.#range;
    const whole = this.#source.proven && start === 0 && end >= this.size ? createBlake3() : undefined;
    for await (const chunk of this.#readAhead()) {
      whole?.update(chunk.bytes);
      if (whole && chunk.start + chunk.bytes.length === this.size) {
        if (!equals(whole.digest(), this.#digest)) throw notOfBlob(this.#digest);
        await this.#source.proven!();
      }
      const wanted = chunk.bytes.subarray(Math.max(0, start - chunk.start), Math.max(0, end - chunk.start));
      for (let at = 0; at < wanted.length; at += PIECE) yield wanted.subarray(at, at + PIECE);
    }
    await this.#source.ended?.();
  }

  /** The chunks the range touches. */
  async *#readAhead(): AsyncGenerator<{ start: number; bytes: Bytes }, void, void> {
    const ahead: { start: number; bytes: Promise<Bytes> }[] = [];
    let inFlight = 0;
    let start = 0;
    let next = 0;
    while (true) {
      while (next < this.#chunks.length && start < this.#range.end && inFlight < READ_AHEAD) {
        const chunk = this.#chunks[next];
        if (start + chunk.size > this.#range.start) {
          const bytes = this.#source.read(chunk, start, next);
          bytes.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
          ahead.push({ start, bytes });
          inFlight += chunk.size;
        }
        start += chunk.size;
        next++;
      }
      const first = ahead.shift();
      if (!first) return;
      const bytes = await first.bytes;
      inFlight -= bytes.length;
      yield { start: first.start, bytes };
    }
  }
}

/** A blob that far gives in one, cut into chunks of our own and kept near while it goes by. */
export class KeepingReader implements BlobReader {
  readonly size: number;
  #far: BlobReader;
  #near: BlobService;
  #forgiving: Forgiving;

  constructor(far: BlobReader, near: BlobService, forgiving: Forgiving) {
    this.size = far.size;
    this.#far = far;
    this.#near = near;
    this.#forgiving = forgiving;
  }

  bytes(): Promise<Bytes> {
    return bytesOf(this);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    const channel = new Channel<Bytes>(WRITE_WINDOW);
    let ended = false;
    const left = new Error("the blob was not read to its end");
    const keeping = this.#forgiving.try(async () => {
      await this.#near.put(channel).catch((error) => {
        if (error !== left) throw error;
      });
    });
    try {
      for await (const piece of this.#far) {
        await channel.push(piece, piece.length);
        yield piece;
      }
      ended = true;
    } finally {
      if (ended) channel.close();
      else channel.fail(left);
      await keeping;
    }
  }
}

function notOfBlob(digest: Digest): DamageError {
  const name = formatDigest(digest);
  return new DamageError(
    "blob",
    name,
    `Cannot read blob ${name}: the chunks listed are those of another blob`,
  );
}
