/** Reading the chunks of a pressed NAR as they are stored, in order, many at once and ahead of the reader. */
import { rawFrame } from "../bytes/zstd_frame.ts";
import type { Bytes } from "../bytes/bytes.ts";
import type { BlobService } from "../castore/blob_service.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import type { StoredForm } from "../castore/stored_form.ts";
import { DamageError, MissingError } from "../errors.ts";

/** Bytes asked for ahead of the reader, unless the service wants more. */
const AHEAD = 4 * 1024 * 1024;
/** What is asked for together: plain bytes and chunks, about. */
const BATCH = 1024 * 1024, MOST_IN_BATCH = 128;

/** What a list of chunks has to tell. */
interface Rows {
  digest(row: number): Digest;
  size(row: number): number;
}

/** A service that gives chunks as they are stored, and small files many at once. */
export type StoringBlobs = BlobService & Required<Pick<BlobService, "getStored" | "getAll">>;

/** Whether a service gives chunks as they are stored: only then a NAR can be pressed. */
export function givesStored(blobs: BlobService): blobs is StoringBlobs {
  return blobs.getStored !== undefined && blobs.getAll !== undefined;
}

/** Chunks that were asked for together. */
interface Batch {
  readonly first: number;
  readonly weight: number;
  readonly asked: Promise<(StoredForm | undefined)[]>;
}

/**
 * The chunks `first` to `end` (not included) as they are stored, some at a time. Throws {@link MissingError} for one that is not
 * there and {@link DamageError} for one that is damaged or of another size.
 */
export async function* storedChunks(
  rows: Rows,
  first: number,
  end: number,
  blobs: StoringBlobs,
): AsyncGenerator<{ first: number; forms: readonly StoredForm[] }, void, void> {
  const most = Math.max(AHEAD, blobs.readAhead ?? 0);
  const waiting: Batch[] = [];
  let weight = 0;
  for (let next = first; next < end || waiting.length > 0;) {
    while (next < end && weight < most) {
      const batch = ask(rows, next, end, blobs);
      waiting.push(batch);
      weight += batch.weight;
      next = batch.end;
    }
    const batch = waiting.shift()!;
    const forms = await batch.asked;
    yield { first: batch.first, forms: forms.map((form, i) => checked(form, rows, batch.first + i)) };
    weight -= batch.weight;
  }
}

function ask(rows: Rows, first: number, end: number, blobs: StoringBlobs): Batch & { end: number } {
  const digests: Digest[] = [];
  let weight = 0;
  for (let row = first; row < end && weight < BATCH && digests.length < MOST_IN_BATCH; row++) {
    digests.push(rows.digest(row));
    weight += rows.size(row);
  }
  const asked = blobs.getStored(digests);
  asked.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
  return { first, end: first + digests.length, weight, asked };
}

function checked(form: StoredForm | undefined, rows: Rows, row: number): StoredForm {
  if (form?.size === rows.size(row)) return form;
  const name = formatDigest(rows.digest(row));
  if (!form) throw new MissingError("chunk", name);
  throw new DamageError(
    "chunk",
    name,
    `Cannot use chunk ${name}: it has ${form.size} bytes where the NAR has ${rows.size(row)}`,
  );
}

/** A chunk as a frame. */
export function frameOf({ bytes, frame }: StoredForm): Bytes {
  return frame ? bytes : rawFrame(bytes);
}
