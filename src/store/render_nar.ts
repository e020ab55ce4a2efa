/**
 * castore → NAR: the bytes of an archive, or of any stretch of it, from a layout and the blobs.
 *
 * Blobs are asked for ahead of the reader, many at once, with a bound on their bytes. Short ones that follow each other are
 * one run with the words between them: asked for together, where the service can give them so, and put together into pieces
 * large enough for a socket.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { type BlobReader, type BlobService, SHORT_LENGTH } from "../castore/blob_service.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import type { FileNode } from "../castore/node.ts";
import { DamageError, MissingError } from "../errors.ts";
import type { NarLayout, Segment } from "./nar_layout.ts";

/** Pieces handed out have about this many bytes. */
const PIECE = 256 * 1024;
/** A stretch of this length and more is handed out as it is. */
const LONG = 64 * 1024;
/** Bytes asked for ahead of the reader, unless the service wants more. */
const AHEAD = 4 * 1024 * 1024;
/** Blobs asked for ahead of the reader: one for so many bytes. */
const BLOB_WEIGHT = 8 * 1024;
/** Memory a long blob's own reading ahead takes, at most. */
const MOST_WEIGHT = 2 * 1024 * 1024;
/** A run is ended when its blobs have so many bytes, or are so many. */
const RUN = 256 * 1024, MOST_IN_RUN = 128;

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
  for (let part = parts.next(); part; part = parts.next()) {
    if (part.type === "run") {
      const found = await part.asked!;
      let next = 0;
      for (const segment of part.segments) {
        // What is there is not waited for: a turn of the loop for each of thousands of files would cost more than they do.
        const bytes = segment.type === "literal"
          ? segment.bytes
          : cutOut(segment, found[next++]) ?? await readAlone(segment, blobs);
        for (const piece of joiner.add(bytes)) yield piece;
      }
    } else {
      for await (const bytes of await part.asked) for (const piece of joiner.add(bytes)) yield piece;
    }
  }
  const last = joiner.end();
  if (last) yield last;
}

type BlobSegment = Segment & { readonly type: "blob" };

/** Short blobs and the words between them. */
interface Run {
  readonly type: "run";
  readonly segments: Segment[];
  readonly digests: Digest[];
  weight: number;
  asked: Promise<(Bytes | undefined)[]> | undefined;
}

/** A blob that is read for itself. */
interface Alone {
  readonly type: "alone";
  readonly weight: number;
  readonly asked: Promise<BlobReader>;
}

/** The segments in order, as runs and blobs that are asked for ahead. */
class Parts {
  #segments: Iterator<Segment>;
  #blobs: BlobService;
  #ahead: number;
  #waiting: (Run | Alone)[] = [];
  /** The run that may get more; it is not asked for yet. */
  #open: Run | undefined;
  #weight = 0;
  #count = 0;
  #ended = false;
  /** The part that was handed out last: its reader is still at it. */
  #handedOut: Run | Alone | undefined;

  constructor(segments: Iterator<Segment>, blobs: BlobService) {
    this.#segments = segments;
    this.#blobs = blobs;
    this.#ahead = Math.max(AHEAD, blobs.readAhead ?? 0);
  }

  /** The next part; `undefined` after the last. */
  next(): Run | Alone | undefined {
    if (this.#handedOut) {
      this.#weight -= this.#handedOut.weight;
      this.#count -= blobsIn(this.#handedOut);
    }
    while (!this.#ended && this.#weight < this.#ahead && this.#count < this.#ahead / BLOB_WEIGHT) this.#add();
    if (this.#ended || this.#waiting[0] === this.#open) this.#ask();
    return this.#handedOut = this.#waiting.shift();
  }

  #add(): void {
    const { done, value: segment } = this.#segments.next();
    if (done) {
      this.#ended = true;
      return;
    }
    if (segment.type === "literal") return this.#addToRun(segment, segment.bytes.length);
    this.#count++;
    const length = segment.end - segment.start;
    if (this.#blobs.getAll && segment.file.size <= SHORT_LENGTH) {
      this.#addToRun(segment, length);
      this.#open!.digests.push(segment.file.digest);
      if (this.#open!.weight >= RUN || this.#open!.digests.length === MOST_IN_RUN) this.#ask();
      return;
    }
    this.#ask();
    const asked = openSegment(segment, this.#blobs);
    asked.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
    const weight = Math.min(length, MOST_WEIGHT);
    this.#weight += weight;
    this.#waiting.push({ type: "alone", weight, asked });
  }

  #addToRun(segment: Segment, length: number): void {
    if (!this.#open) {
      this.#open = { type: "run", segments: [], digests: [], weight: 0, asked: undefined };
      this.#waiting.push(this.#open);
    }
    this.#open.segments.push(segment);
    this.#open.weight += length;
    this.#weight += length;
  }

  /** Ends the open run and asks for its blobs. */
  #ask(): void {
    const run = this.#open;
    if (!run) return;
    this.#open = undefined;
    run.asked = run.digests.length === 0 ? Promise.resolve([]) : this.#blobs.getAll!(run.digests);
    run.asked.catch(() => {}); // as above
  }
}

function blobsIn(part: Run | Alone): number {
  return part.type === "run" ? part.digests.length : 1;
}

/** What a run needs of a blob that came with it. */
function cutOut({ file, start, end }: BlobSegment, found: Bytes | undefined): Bytes | undefined {
  if (!found) return undefined;
  checkSize(file, found.length);
  return end - start === found.length ? found : found.subarray(start, end);
}

/** What a run needs of a blob that did not come: it is not there, or longer than its node says. */
async function readAlone(segment: BlobSegment, blobs: BlobService): Promise<Bytes> {
  return await (await openSegment(segment, blobs)).bytes();
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
