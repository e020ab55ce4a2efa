/**
 * castore → NAR: the bytes of an archive, or of any stretch of it, from a layout and the blobs.
 *
 * Blobs are asked for ahead of the reader, many at once, with a bound on their bytes; small ones and the words between
 * are put together into pieces large enough for a socket.
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { BlobReader, BlobService } from "../castore/blob_service.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import { formatDigest } from "../castore/digest.ts";
import { DamageError, MissingError } from "../errors.ts";
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
  for await (const part of readAhead(layout.segments(range?.start, range?.end), blobs)) {
    if (part instanceof Uint8Array) {
      for (const piece of joiner.add(part)) yield piece;
    } else {
      for await (const bytes of part) for (const piece of joiner.add(bytes)) yield piece;
    }
  }
  const last = joiner.end();
  if (last) yield last;
}

interface Asked {
  readonly part: Bytes | Promise<BlobReader>;
  readonly weight: number;
}

/** The segments in order, their blobs opened ahead. */
async function* readAhead(
  segments: Iterator<Segment>,
  blobs: BlobService,
): AsyncGenerator<Bytes | BlobReader, void, void> {
  const asked: Asked[] = [];
  let first = 0;
  let weight = 0;
  let ended = false;
  while (true) {
    while (!ended && weight < AHEAD && asked.length - first < BLOBS_AHEAD) {
      const { done, value } = segments.next();
      if (done) ended = true;
      else {
        asked.push(ask(value, blobs));
        weight += asked[asked.length - 1].weight;
      }
    }
    if (first === asked.length) return;
    const next = asked[first++];
    // Dropped in batches: shifting a long queue for every blob would cost more than the blobs.
    if (first === BLOBS_AHEAD) {
      asked.splice(0, first);
      first = 0;
    }
    yield next.part instanceof Uint8Array ? next.part : await next.part;
    weight -= next.weight;
  }
}

function ask(segment: Segment, blobs: BlobService): Asked {
  if (segment.type === "literal") return { part: segment.bytes, weight: segment.bytes.length };
  const opened = openSegment(segment, blobs);
  opened.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
  return { part: opened, weight: Math.min(segment.end - segment.start, MOST_WEIGHT) };
}

async function openSegment(segment: Segment & { type: "blob" }, blobs: BlobService): Promise<BlobReader> {
  const { file, start, end } = segment;
  const whole = start === 0 && end === file.size;
  const reader = await blobs.open(file.digest, whole ? undefined : { range: { start, end } });
  if (!reader) throw new MissingError("blob", formatDigest(file.digest));
  if (reader.size !== file.size) {
    throw new DamageError(
      "blob",
      formatDigest(file.digest),
      `Cannot render the NAR: blob ${
        formatDigest(file.digest)
      } has ${reader.size} bytes where its file has ${file.size}`,
    );
  }
  return reader;
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
