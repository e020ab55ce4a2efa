/**
 * A NAR's segments in the order they are needed in, with what they need of the store asked for ahead, and a bound on the bytes of
 * that. Short blobs that follow each other are one stretch with the words between them, and asked for together, where the
 * service can give them so.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { type BlobReader, type BlobService, SHORT_LENGTH } from "../castore/blob_service.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import type { FileNode } from "../castore/node.ts";
import { DamageError, MissingError } from "../errors.ts";
import type { Segment } from "./nar_layout.ts";

/** Bytes asked for ahead of the reader, unless the service wants more. */
const AHEAD = 4 * 1024 * 1024;
/** Blobs asked for ahead of the reader; where the service wants more bytes, one for each 4 KiB of them. */
const BLOBS_AHEAD = 512, SMALL_BLOB = 4096;
/** Memory a long blob's own reading ahead takes, at most. */
const LONG_WEIGHT = 2 * 1024 * 1024;
/** A stretch is ended when its blobs have so many bytes, or are so many. */
const STRETCH = 256 * 1024, MOST_IN_STRETCH = 128;

export type BlobSegment = Segment & { readonly type: "blob" };

/** Short blobs and the words between them. */
export interface Stretch {
  readonly type: "stretch";
  readonly segments: Segment[];
  readonly digests: Digest[];
  weight: number;
  /** The blobs among the segments. */
  asked: Promise<(Bytes | undefined)[]> | undefined;
}

/** A blob that is asked for by itself. */
export interface Alone<T> {
  readonly type: "alone";
  readonly weight: number;
  readonly segment: BlobSegment;
  readonly asked: Promise<T>;
}

export interface PartsOptions<T> {
  /** Blobs of files of at most so many bytes are read in stretches; at most, and default, `SHORT_LENGTH`. */
  readonly shortLength?: number;
  /** Asks for what is needed of another. */
  readonly ask: (segment: BlobSegment) => Promise<T>;
  /** Bytes that what is asked for takes, at most; default 2 MiB. */
  readonly mostWeight?: number;
}

/** The segments in order, as stretches and blobs that are asked for ahead. */
export class NarParts<T> {
  #segments: Iterator<Segment>;
  #blobs: BlobService;
  #options: PartsOptions<T>;
  #shortLength: number;
  #ahead: number;
  #blobsAhead: number;
  #waiting: (Stretch | Alone<T>)[] = [];
  /** The stretch that may get more; it is not asked for yet. */
  #open: Stretch | undefined;
  #weight = 0;
  #count = 0;
  #ended = false;
  /** The part that was handed out last: its reader is still at it. */
  #handedOut: Stretch | Alone<T> | undefined;

  constructor(segments: Iterator<Segment>, blobs: BlobService, options: PartsOptions<T>) {
    this.#segments = segments;
    this.#blobs = blobs;
    this.#options = options;
    this.#shortLength = options.shortLength ?? SHORT_LENGTH;
    this.#ahead = Math.max(AHEAD, blobs.readAhead ?? 0);
    this.#blobsAhead = Math.max(BLOBS_AHEAD, (blobs.readAhead ?? 0) / SMALL_BLOB);
  }

  /** The next part; `undefined` after the last. */
  next(): Stretch | Alone<T> | undefined {
    if (this.#handedOut) {
      this.#weight -= this.#handedOut.weight;
      this.#count -= blobsIn(this.#handedOut);
    }
    while (!this.#ended && this.#weight < this.#ahead && this.#count < this.#blobsAhead) this.#add();
    if (this.#ended || this.#waiting[0] === this.#open) this.#ask();
    return this.#handedOut = this.#waiting.shift();
  }

  #add(): void {
    const { done, value: segment } = this.#segments.next();
    if (done) {
      this.#ended = true;
      return;
    }
    if (segment.type === "literal") return this.#addToStretch(segment, segment.bytes.length);
    this.#count++;
    const length = segment.end - segment.start;
    if (this.#blobs.getAll && segment.file.size <= this.#shortLength) {
      this.#addToStretch(segment, length);
      this.#open!.digests.push(segment.file.digest);
      if (this.#open!.weight >= STRETCH || this.#open!.digests.length === MOST_IN_STRETCH) this.#ask();
      return;
    }
    this.#ask();
    const asked = this.#options.ask(segment);
    asked.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
    const weight = Math.min(length, this.#options.mostWeight ?? LONG_WEIGHT);
    this.#weight += weight;
    this.#waiting.push({ type: "alone", weight, segment, asked });
  }

  #addToStretch(segment: Segment, length: number): void {
    if (!this.#open) {
      this.#open = { type: "stretch", segments: [], digests: [], weight: 0, asked: undefined };
      this.#waiting.push(this.#open);
    }
    this.#open.segments.push(segment);
    this.#open.weight += length;
    this.#weight += length;
  }

  /** Ends the open stretch and asks for its blobs. */
  #ask(): void {
    const stretch = this.#open;
    if (!stretch) return;
    this.#open = undefined;
    stretch.asked = stretch.digests.length === 0 ? Promise.resolve([]) : this.#blobs.getAll!(stretch.digests);
    stretch.asked.catch(() => {}); // as above
  }
}

function blobsIn(part: Stretch | Alone<unknown>): number {
  return part.type === "stretch" ? part.digests.length : 1;
}

/**
 * The bytes of a stretch, segment by segment. What is there is not waited for: a turn of the loop for each of thousands of files
 * would cost more than they do.
 */
export async function stretchBytes({ segments, asked }: Stretch, blobs: BlobService): Promise<Bytes[]> {
  const found = await asked!;
  const all: Bytes[] = [];
  let next = 0;
  for (const segment of segments) {
    all.push(
      segment.type === "literal"
        ? segment.bytes
        : cutOut(segment, found[next++]) ?? await (await openSegment(segment, blobs)).bytes(),
    );
  }
  return all;
}

/** What is needed of a blob that came with others; `undefined`: it did not come, or is longer than its node says. */
function cutOut({ file, start, end }: BlobSegment, found: Bytes | undefined): Bytes | undefined {
  if (!found) return undefined;
  checkSize(file, found.length);
  return end - start === found.length ? found : found.subarray(start, end);
}

/** Opens what is needed of a blob. Throws {@link MissingError}, or {@link DamageError} if it has not the size its node says. */
export async function openSegment(
  { file, start, end }: BlobSegment,
  blobs: BlobService,
): Promise<BlobReader> {
  const whole = start === 0 && end === file.size;
  const reader = await blobs.open(file.digest, whole ? undefined : { range: { start, end } });
  if (!reader) throw new MissingError("blob", formatDigest(file.digest));
  checkSize(file, reader.size);
  return reader;
}

/** Throws {@link DamageError} unless what is stored of a file has the size its node says. */
export function checkSize({ digest, size }: FileNode, stored: number): void {
  if (stored === size) return;
  const name = formatDigest(digest);
  throw new DamageError(
    "blob",
    name,
    `Cannot render the NAR: blob ${name} has ${stored} bytes where its file has ${size}`,
  );
}
