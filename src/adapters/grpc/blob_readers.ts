/**
 * Reading blobs that are there: short ones that were fetched, and long ones by their plan. Nothing is delivered that was
 * not verified, and of a long blob read whole not the last piece before all of it has the blob's digest: a list of
 * chunks is only a claim. A range is verified by the blob's outboard, if the server gave one; else it relies on that list.
 */
import { type Bytes, concat, EMPTY, equals } from "../../bytes/bytes.ts";
import type { BlobReader, ChunkMeta } from "../../castore/blob_service.ts";
import type { ByteRange } from "../../castore/byte_store.ts";
import type { Digest } from "../../castore/digest.ts";
import { groupsOf, verifyRange } from "../../hash/bao_range.ts";
import { groupLength } from "../../hash/bao_tree.ts";
import { blake3, createBlake3 } from "../../hash/blake3.ts";
import { type BlobPlan, cut, damaged, PIECE } from "./blob_plan.ts";

/** Bytes of one blob that are read ahead of the reader. */
const READ_AHEAD = 6 * 1024 * 1024;
const GROUP = groupLength();

/** Where the bytes come from. None of them are verified. */
export interface BlobSource {
  /** All bytes of a chunk, or an error. */
  chunk(chunk: ChunkMeta): Promise<Bytes>;
  /** A blob from its beginning. */
  stream(digest: Digest): AsyncIterable<Bytes>;
}

/** A blob whose bytes are here and verified. */
export class FetchedReader implements BlobReader {
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
    if (this.#part.length > 0) yield await this.#part;
  }
}

/** A piece and where it begins. */
interface Placed {
  readonly start: number;
  readonly bytes: Bytes;
}

/** A long blob. */
export class PlannedReader implements BlobReader {
  readonly size: number;
  #digest: Digest;
  #plan: BlobPlan;
  #source: BlobSource;
  #range: ByteRange;
  /** The first bytes of the blob, if they were fetched. */
  #head: Bytes;

  constructor(
    digest: Digest,
    plan: BlobPlan,
    source: BlobSource,
    options: { range: ByteRange | undefined; head: Bytes },
  ) {
    this.size = plan.size;
    this.#digest = digest;
    this.#plan = plan;
    this.#source = source;
    this.#range = options.range ?? { start: 0, end: plan.size };
    this.#head = options.head;
  }

  async bytes(): Promise<Bytes> {
    const parts: Bytes[] = [];
    for await (const part of this) parts.push(part);
    return concat(parts);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    const { start, end } = this.#range;
    const pieces = this.#pieces();
    const whole = start === 0 && end >= this.size && this.#plan.split ? createBlake3() : undefined;
    for await (const piece of pieces) {
      whole?.update(piece.bytes);
      if (whole && piece.start + piece.bytes.length === this.size && !equals(whole.digest(), this.#digest)) {
        throw damaged(this.#digest, "the chunks the remote lists are those of another blob");
      }
      const wanted = piece.bytes.subarray(
        Math.max(0, start - piece.start),
        Math.max(0, end - piece.start),
      );
      for (let at = 0; at < wanted.length; at += PIECE) yield wanted.subarray(at, at + PIECE);
    }
  }

  #pieces(): AsyncGenerator<Placed, void, void> {
    const { size, split, outboard } = this.#plan;
    const { start, end } = this.#range;
    if (!split) return this.#stretches();
    if (!outboard || outboard.length === 0 || start >= Math.min(end, size)) return this.#chunks(this.#range);
    return this.#proven(outboard, groupsOf(size, this.#range));
  }

  /** The groups the range touches, each verified with the outboard: that a chunk is where it was said to be, too. */
  async *#proven(outboard: Bytes, groups: ByteRange): AsyncGenerator<Placed, void, void> {
    const bao = { digest: this.#digest, size: this.size, outboard };
    let rest: Bytes = EMPTY;
    let at = groups.start;
    for await (const piece of this.#chunks(groups)) {
      const wanted = piece.bytes.subarray(
        Math.max(0, groups.start - piece.start),
        Math.max(0, groups.end - piece.start),
      );
      rest = rest.length === 0 ? wanted : concat([rest, wanted]);
      const reached = at + rest.length;
      const end = reached === groups.end ? reached : reached - reached % GROUP;
      if (end === at) continue;
      yield { start: at, bytes: verifyRange(bao, { start: at, end }, rest.subarray(0, end - at)) };
      rest = rest.subarray(end - at);
      at = end;
    }
  }

  /** The chunks a range touches, many asked for at once. */
  async *#chunks(range: ByteRange): AsyncGenerator<Placed, void, void> {
    const ahead: { start: number; bytes: Promise<Bytes> }[] = [];
    const { pieces } = this.#plan;
    let inFlight = 0;
    let start = 0;
    let next = 0;
    while (true) {
      while (
        next < pieces.length && start < range.end && (inFlight < READ_AHEAD || ahead.length === 0)
      ) {
        const chunk = pieces[next++];
        if (start + chunk.size > range.start) {
          const bytes = this.#chunk(chunk, start);
          bytes.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
          ahead.push({ start, bytes });
          inFlight += chunk.size;
        }
        start += chunk.size;
      }
      const first = ahead.shift();
      if (!first) return;
      const bytes = await first.bytes;
      inFlight -= bytes.length;
      yield { start: first.start, bytes };
    }
  }

  async #chunk(chunk: ChunkMeta, start: number): Promise<Bytes> {
    const bytes = start + chunk.size <= this.#head.length
      ? this.#head.subarray(start, start + chunk.size)
      : await this.#source.chunk(chunk);
    this.#verify(chunk, bytes);
    return bytes;
  }

  /** The blob from its beginning to the end of the range, in the pieces it was measured in. */
  async *#stretches(): AsyncGenerator<Placed, void, void> {
    const { pieces } = this.#plan;
    let start = 0;
    let i = 0;
    if (this.#range.start >= Math.min(this.#range.end, this.size)) return;
    for await (const bytes of cut(this.#source.stream(this.#digest), (i) => pieces[i]?.size ?? PIECE)) {
      if (i === pieces.length) throw damaged(this.#digest, "the remote gave more bytes than before");
      this.#verify(pieces[i++], bytes);
      yield { start, bytes };
      start += bytes.length;
      if (start >= this.#range.end) return;
    }
    if (start < this.size) throw damaged(this.#digest, "the remote gave fewer bytes than before");
  }

  #verify(piece: ChunkMeta, bytes: Bytes): void {
    if (bytes.length !== piece.size || !equals(blake3(bytes), piece.digest)) {
      throw damaged(this.#digest, "the remote gave other bytes");
    }
  }
}
