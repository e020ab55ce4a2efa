/**
 * Blobs of a remote.
 *
 * A short blob costs one call: it is read at once and, if it ends within 512 KiB, was all there is to know. If it goes on,
 * its chunks are asked for and read many at a time; for a range of it the outboard is asked for as well. Storing bytes
 * costs one call too, except that a blob of more than 512 KiB is looked for first: for it, a look costs little and may
 * save much. Where frames can be decompressed here, blobs come as the server has them compressed (`blob_reads.ts`).
 */
import { type Bytes, concat, EMPTY, equals } from "../../bytes/bytes.ts";
import { toHex } from "../../bytes/hex.ts";
import { Lru } from "../../bytes/lru.ts";
import { rawFrameLength } from "../../bytes/zstd_frame.ts";
import type { BlobReader, BlobService, ChunkMeta } from "../../castore/blob_service.ts";
import { type ByteRange, MAX_VALUE_LENGTH } from "../../castore/byte_store.ts";
import { allOf } from "../../castore/chunk_store.ts";
import { type Digest, formatDigest } from "../../castore/digest.ts";
import type { FrameDecoder, StoredForm } from "../../castore/stored_form.ts";
import { DamageError } from "../../errors.ts";
import { outboardOf } from "../../hash/bao.ts";
import { verifyOutboard } from "../../hash/bao_outboard.ts";
import { blake3, createBlake3 } from "../../hash/blake3.ts";
import { type BlobPlan, cut, damaged, measure, PIECE, planOf } from "./blob_plan.ts";
import { BlobReads, type Piece } from "./blob_reads.ts";
import { type BlobSource, FetchedReader, PlannedReader } from "./blob_readers.ts";
import type { Call } from "./call.ts";
import type { Remote } from "./remote.ts";
import { orAbsent, type Subject } from "./remote_errors.ts";

/** Bytes in a message, under the 4 MiB that other servers take. */
const MESSAGE = 1024 * 1024;
/** Blobs longer than this are looked for before they are sent. */
const LOOK_FIRST = PIECE;
/** Memory for plans of long blobs, so that many ranges of one cost one look. */
const PLANS = 16 * 1024 * 1024;
/** Memory of one piece in a plan, about. */
const PIECE_WEIGHT = 200;

export class RemoteBlobs implements BlobService {
  #remote: Remote;
  #plans = new Lru<string, BlobPlan>(PLANS);
  #source: BlobSource;
  #reads: BlobReads;

  /** @param decoder who decompresses frames; without one, blobs are asked for plain */
  constructor(remote: Remote, decoder?: FrameDecoder) {
    this.#remote = remote;
    this.#reads = new BlobReads(decoder);
    if (decoder) this.getStored = (digests) => allOf(digests.map((digest) => this.#readStored(digest)));
    this.#source = {
      chunk: (chunk) => this.#readChunk(chunk),
      stream: (digest) => this.#stream(digest),
    };
  }

  getStored?: (digests: readonly Digest[]) => Promise<(StoredForm | undefined)[]>;

  async has(digest: Digest): Promise<boolean> {
    const stat = this.#remote.call(about(digest), ({ blobs }, call) => blobs.stat({ digest }, call));
    return await orAbsent(stat) !== undefined;
  }

  async open(digest: Digest, { range }: { range?: ByteRange } = {}): Promise<BlobReader | undefined> {
    let plan = this.#plans.get(toHex(digest));
    let head: Bytes = EMPTY;
    // A range that begins late is one of a long blob: its first bytes would be read in vain.
    if (!plan && (range?.start ?? 0) < PIECE) {
      const first = await this.#readHead(digest);
      if (!first) return undefined;
      if (first.ended) return new FetchedReader(first.bytes, range);
      head = first.bytes;
    }
    if (!plan || range && isProvable(plan)) {
      plan = await this.#askPlan(digest, { outboard: range !== undefined });
    }
    plan ??= await this.#measure(digest);
    return plan && new PlannedReader(digest, plan, this.#source, { range, head });
  }

  async chunks(digest: Digest): Promise<readonly ChunkMeta[] | undefined> {
    const plan = this.#plans.get(toHex(digest)) ?? await this.#askPlan(digest) ?? await this.#learn(digest);
    return plan && chunksOf(digest, plan);
  }

  async outboard(digest: Digest): Promise<Bytes | undefined> {
    let plan = this.#plans.get(toHex(digest));
    if (isProvable(plan)) plan = await this.#askPlan(digest, { outboard: true });
    if (plan?.outboard && plan.outboard.length > 0) {
      verifyOutboard({ digest, size: plan.size, outboard: plan.outboard });
      return plan.outboard;
    }
    // It is short, or the server has no outboards: its bytes tell.
    const blob = await this.open(digest);
    return blob && (await outboardOf(blob)).outboard as Bytes;
  }

  put(source: Bytes | AsyncIterable<Bytes>): Promise<ChunkMeta> {
    return source instanceof Uint8Array ? this.#putBytes(source.slice()) : this.#putStream(source);
  }

  /** Stores bytes that do not change any more. */
  async #putBytes(bytes: Bytes): Promise<ChunkMeta> {
    const blob = { digest: blake3(bytes), size: bytes.length };
    if (bytes.length > LOOK_FIRST && await this.has(blob.digest)) return blob;
    const waiting = this.#remote.bytes.take(bytes.length);
    if (waiting) await waiting;
    try {
      const answer = await this.#remote.call(
        about(blob.digest),
        ({ blobs }, call) => blobs.put(messagesOf(bytes, call), call),
      );
      this.#checkAnswer(blob.digest, answer.digest);
    } finally {
      this.#remote.bytes.give(bytes.length);
    }
    return blob;
  }

  async #putStream(source: AsyncIterable<Bytes>): Promise<ChunkMeta> {
    const messages = cut(source, () => MESSAGE);
    const first = await messages.next();
    if (first.done) return await this.#putBytes(EMPTY);
    const second = await messages.next();
    if (second.done) return await this.#putBytes(first.value);
    return await this.#sendStream([first.value, second.value], messages);
  }

  async #sendStream(first: Bytes[], rest: AsyncGenerator<Bytes>): Promise<ChunkMeta> {
    const hasher = createBlake3();
    let size = 0;
    let failure: { error: unknown } | undefined;
    const remote = this.#remote;
    const all = async function* () {
      try {
        yield* first.splice(0);
        yield* rest;
      } catch (error) {
        failure = { error };
        throw error;
      }
    };
    try {
      const subject = { kind: "blob", key: "of a stream" };
      await remote.settleEra(subject, ({ blobs }, call) => blobs.stat({ digest: blake3(EMPTY) }, call));
      const answer = await remote.send(subject, async ({ blobs }, call) => {
        const sending = remote.paced(call, all(), (data) => data.length);
        const messages = async function* () {
          for await (const data of sending) {
            hasher.update(data);
            size += data.length;
            yield { data };
          }
        };
        return await blobs.put(messages(), call);
      });
      const digest = hasher.digest();
      this.#checkAnswer(digest, answer.digest);
      return { digest, size };
    } catch (error) {
      throw failure ? failure.error : error;
    } finally {
      rest.return(undefined).catch(() => {}); // closes the source if the remote ended the call; it may be waiting for its next piece
    }
  }

  #checkAnswer(digest: Digest, answered: Uint8Array): void {
    if (equals(answered, digest)) return;
    const name = formatDigest(digest);
    const message = `Cannot store blob ${name}: ${this.#remote.address} took it for ${
      formatDigest(answered)
    }`;
    throw new DamageError("blob", name, message);
  }

  /** The whole blob, verified, if it is short, else its first bytes. */
  async #readHead(digest: Digest): Promise<{ bytes: Bytes; ended: boolean } | undefined> {
    const head = this.#remote.call(about(digest), async ({ blobs }, call) => {
      return await gather(this.#reads.read(blobs, digest, call), PIECE);
    });
    const found = await orAbsent(head);
    if (found?.ended && !equals(blake3(found.bytes), digest)) {
      throw damaged(digest, "the remote gave other bytes");
    }
    return found;
  }

  /** All bytes of a chunk, not verified; a byte too many if there are more. */
  async #readChunk({ digest, size }: ChunkMeta): Promise<Bytes> {
    const reading = this.#remote.call(about(digest), async ({ blobs }, call) => {
      return await gather(this.#reads.read(blobs, digest, call), size);
    });
    const found = await orAbsent(reading);
    if (!found) throw damaged(digest, "it is a chunk of a blob, and gone");
    return found.bytes;
  }

  async *#stream(digest: Digest): AsyncGenerator<Bytes, void, void> {
    const pieces = this.#remote.receive(
      about(digest),
      ({ blobs }, call) => this.#reads.read(blobs, digest, call),
    );
    for await (const { data } of pieces) yield data;
  }

  /** A chunk as the server has it stored, proven by its digest; `undefined` if there is none, or it is a blob of several. */
  async #readStored(digest: Digest): Promise<StoredForm | undefined> {
    const reading = this.#remote.call(about(digest), async ({ blobs }, call) => {
      const pieces: Piece[] = [];
      let size = 0;
      for await (const piece of this.#reads.read(blobs, digest, call)) {
        pieces.push(piece);
        size += piece.data.length;
        // A chunk is one frame, and never longer.
        if (size > MAX_VALUE_LENGTH || pieces[0].frame && pieces.length > 1) return "long";
      }
      return pieces;
    });
    const found = await orAbsent(reading);
    if (!found || found === "long") return undefined;
    const bytes = concat(found.map(({ data }) => data));
    if (!equals(blake3(bytes), digest)) throw damaged(digest, "the remote gave other bytes");
    const size = bytes.length;
    const frame = found[0]?.frame;
    if (frame && frame.length < rawFrameLength(size)) return { bytes: frame, frame: true, size };
    return { bytes, frame: false, size };
  }

  /** The plan that the server's chunks give, if it names them, and if told with the outboard. */
  async #askPlan(
    digest: Digest,
    { outboard: sendBao = false } = {},
  ): Promise<BlobPlan | undefined> {
    const asking = this.#remote.call(
      about(digest),
      ({ blobs }, call) => blobs.stat({ digest, sendChunks: true, sendBao }, call),
    );
    const stat = await orAbsent(asking);
    if (!stat) return undefined;
    return this.#keep(digest, planOf(digest, stat.chunks, sendBao ? stat.bao as Bytes : undefined));
  }

  /** The plan of a blob that the server does not split, by reading it; `undefined` if it is absent. */
  async #measure(digest: Digest): Promise<BlobPlan | undefined> {
    const measuring = this.#remote.call(about(digest), async ({ blobs }, call) => {
      return await measure(digest, dataOf(this.#reads.read(blobs, digest, call)));
    });
    return this.#keep(digest, await orAbsent(measuring));
  }

  /** As {@link #measure}, for a blob that is probably short. */
  async #learn(digest: Digest): Promise<BlobPlan | undefined> {
    const head = await this.#readHead(digest);
    if (!head?.ended) return head && await this.#measure(digest);
    const { length } = head.bytes;
    return { size: length, pieces: length === 0 ? [] : [{ digest, size: length }], split: false };
  }

  #keep(digest: Digest, plan: BlobPlan | undefined): BlobPlan | undefined {
    if (plan) {
      const weight = plan.pieces.length * PIECE_WEIGHT + (plan.outboard?.length ?? 0);
      this.#plans.set(toHex(digest), plan, weight);
    }
    return plan;
  }
}

/** Whether the server may have an outboard that nobody asked it for; of a blob that it does not split there is no use for one. */
function isProvable(plan: BlobPlan | undefined): boolean {
  return !plan || plan.split && !plan.outboard;
}

function chunksOf(digest: Digest, { size, pieces, split }: BlobPlan): readonly ChunkMeta[] {
  if (split || size === 0) return pieces;
  return [{ digest, size }];
}

function about(digest: Digest): Subject {
  return { kind: "blob", key: formatDigest(digest) };
}

async function* messagesOf(bytes: Bytes, call: Call): AsyncGenerator<{ data: Bytes }, void, void> {
  for (let at = 0; at < bytes.length; at += MESSAGE) {
    yield await { data: bytes.subarray(at, at + MESSAGE) };
    call.progress();
  }
}

async function* dataOf(pieces: AsyncIterable<Piece>): AsyncGenerator<Bytes, void, void> {
  for await (const { data } of pieces) yield data;
}

/** All bytes of some pieces, as long as they are not over the limit. */
async function gather(
  pieces: AsyncIterable<Piece>,
  limit: number,
): Promise<{ bytes: Bytes; ended: boolean }> {
  const parts: Bytes[] = [];
  let length = 0;
  for await (const { data } of pieces) {
    parts.push(data);
    length += data.length;
    if (length > limit) return { bytes: concat(parts), ended: false };
  }
  return { bytes: concat(parts), ended: true };
}
