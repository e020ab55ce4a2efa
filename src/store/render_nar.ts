/**
 * castore → NAR: the bytes of an archive, or of any stretch of it, from a layout and the blobs.
 *
 * Blobs are asked for ahead of the reader, many at once, with a bound on their bytes; small ones and the words between
 * are put together into pieces large enough for a socket. Where the blobs have some in memory, asking for a short one
 * brings its neighbours there; then only one now and then is asked for ahead, and the others are taken from there.
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { BlobReader, BlobService } from "../castore/blob_service.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import { formatDigest } from "../castore/digest.ts";
import type { FileNode } from "../castore/node.ts";
import { DamageError, MissingError } from "../errors.ts";
import { DEFAULT_CHUNK_SIZES } from "../hash/fastcdc.ts";
import type { NarLayout, Segment } from "./nar_layout.ts";

/** Pieces handed out have about this many bytes. */
const PIECE = 256 * 1024;
/** A stretch of this length and more is handed out as it is. */
const LONG = 64 * 1024;
/** Bytes asked for ahead of the reader. */
const AHEAD = 4 * 1024 * 1024;
/** Blobs asked for ahead of the reader. */
const BLOBS_AHEAD = 512;
/** Memory a long blob's own reading ahead takes, at most. */
const MOST_WEIGHT = 2 * 1024 * 1024;
/** A blob of at most this length is one chunk. */
const SHORT = DEFAULT_CHUNK_SIZES.min;
/** Of short blobs whose neighbours come with them, one is asked for ahead in every so many bytes. */
const ASK_EVERY = 1024 * 1024;
/** Two blobs not brought by their neighbours, with fewer parts than this between, are taken for a sign that none is. */
const SEEN_TOGETHER = 16;

/**
 * The bytes of a NAR, or those the range covers (end clamped), in pieces that are only to be read. Fails with
 * {@link MissingError} or {@link DamageError} where a blob is not stored, damaged, or not of the length its node says; all
 * pieces before that are right.
 */
export async function* renderNar(
  layout: NarLayout,
  blobs: BlobService,
  range?: ByteRange,
): AsyncGenerator<Bytes, void, void> {
  const joiner = new Joiner();
  const parts = new Parts(layout.segments(range?.start, range?.end), blobs);
  while (true) {
    // What is at hand is not waited for: a turn of the loop for each of thousands of files would cost more than they do.
    const next = parts.next();
    const part = next instanceof Promise ? await next : next;
    if (!part) break;
    if (part instanceof Uint8Array) {
      for (const piece of joiner.add(part)) yield piece;
    } else {
      for await (const bytes of part) for (const piece of joiner.add(bytes)) yield piece;
    }
  }
  const last = joiner.end();
  if (last) yield last;
}

type BlobSegment = Segment & { readonly type: "blob" };

/** A segment on its way to the reader, and its blob if that was asked for. */
interface Waiting {
  readonly segment: Segment;
  readonly weight: number;
  asked: Promise<BlobReader> | undefined;
}

/** The segments in order, blobs asked for ahead. */
class Parts {
  #segments: Iterator<Segment>;
  #blobs: BlobService;
  #waiting: Waiting[] = [];
  #first = 0;
  #weight = 0;
  #ended = false;
  /** Weight of the part that was handed out last: its reader is still at it. */
  #handedOut = 0;
  /** Bytes since a short blob was asked for ahead. */
  #passed = ASK_EVERY;
  /** Parts since a short blob was not at hand. */
  #sinceMissed = SEEN_TOGETHER;

  constructor(segments: Iterator<Segment>, blobs: BlobService) {
    this.#segments = segments;
    this.#blobs = blobs;
  }

  /** The next part; `undefined` after the last. */
  next(): Bytes | Promise<BlobReader> | undefined {
    this.#weight -= this.#handedOut;
    this.#fill();
    if (this.#first === this.#waiting.length) return undefined;
    const next = this.#waiting[this.#first++];
    this.#handedOut = next.weight;
    // Dropped in batches: shifting a long queue for every blob would cost more than the blobs.
    if (this.#first === BLOBS_AHEAD) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
    this.#sinceMissed++;
    if (next.segment.type === "literal") return next.segment.bytes;
    return next.asked ?? atHand(next.segment, this.#blobs) ?? this.#askNow(next);
  }

  #fill(): void {
    while (!this.#ended && this.#weight < AHEAD && this.#waiting.length - this.#first < BLOBS_AHEAD) {
      const { done, value: segment } = this.#segments.next();
      if (done) {
        this.#ended = true;
        return;
      }
      const length = segment.type === "literal" ? segment.bytes.length : segment.end - segment.start;
      const waiting = { segment, weight: Math.min(length, MOST_WEIGHT), asked: undefined };
      this.#waiting.push(waiting);
      this.#weight += waiting.weight;
      this.#passed += length;
      if (segment.type === "literal") continue;
      const short = segment.file.size <= SHORT;
      if (short && this.#blobs.atHand && this.#passed < ASK_EVERY) continue;
      if (short) this.#passed = 0;
      this.#ask(waiting);
    }
  }

  #ask(waiting: Waiting): Promise<BlobReader> | undefined {
    const { segment } = waiting;
    if (segment.type === "literal" || waiting.asked) return waiting.asked;
    waiting.asked = openSegment(segment, this.#blobs);
    waiting.asked.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
    return waiting.asked;
  }

  /** Asks for a blob that its neighbours did not bring, and for all that wait if that happens often. */
  #askNow(next: Waiting): Promise<BlobReader> | undefined {
    const asked = this.#ask(next);
    if (this.#sinceMissed < SEEN_TOGETHER) {
      for (let i = this.#first; i < this.#waiting.length; i++) this.#ask(this.#waiting[i]);
    }
    this.#sinceMissed = 0;
    return asked;
  }
}

function atHand({ file, start, end }: BlobSegment, blobs: BlobService): Bytes | undefined {
  const bytes = blobs.atHand?.(file.digest);
  if (!bytes) return undefined;
  checkSize(file, bytes.length);
  return end - start === bytes.length ? bytes : bytes.subarray(start, end);
}

async function openSegment({ file, start, end }: BlobSegment, blobs: BlobService): Promise<BlobReader> {
  const whole = start === 0 && end === file.size;
  const reader = await blobs.open(file.digest, whole ? undefined : { range: { start, end } });
  if (!reader) throw new MissingError("blob", formatDigest(file.digest));
  checkSize(file, reader.size);
  return reader;
}

function checkSize({ digest, size }: FileNode, stored: number): void {
  if (stored === size) return;
  const name = formatDigest(digest);
  throw new DamageError(
    "blob",
    name,
    `Cannot render the NAR: blob ${name} has ${stored} bytes where its file has ${size}`,
  );
}

/** Puts short stretches together. */
class Joiner {
  #buffer: Bytes | undefined;
  #filled = 0;

  /** Adds a stretch and returns what is ready. */
  *add(bytes: Bytes): Generator<Bytes, void, void> {
    if (bytes.length >= LONG) {
      const before = this.end();
      if (before) yield before;
      yield bytes;
      return;
    }
    if (this.#filled + bytes.length > PIECE) yield this.end()!;
    this.#buffer ??= new Uint8Array(PIECE);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  /** What was gathered, if anything. */
  end(): Bytes | undefined {
    if (this.#filled === 0) return undefined;
    const piece = this.#buffer!.subarray(0, this.#filled);
    this.#buffer = undefined;
    this.#filled = 0;
    return piece;
  }
}
