/**
 * Blobs as zstd frames, one for each chunk, in order: as the chunk is stored, or a raw frame of one that is stored plain. Any tool for
 * zstd makes the blob of them, and nothing is compressed or decompressed to give them. The empty blob is an empty frame.
 */
import { ahead } from "../bytes/ahead.ts";
import { type Bytes, EMPTY } from "../bytes/bytes.ts";
import { rawFrame } from "../bytes/zstd_frame.ts";
import { DamageError } from "../errors.ts";
import type { BlobService, ChunkMeta } from "./blob_service.ts";
import { MAX_VALUE_LENGTH } from "./byte_store.ts";
import { type Digest, formatDigest } from "./digest.ts";
import type { StoredForm } from "./stored_form.ts";

/**
 * The header of remote calls by which blobs are asked for as frames: a client says {@link AS_FRAMES}, and a server that answers so says it,
 * too. Messages of `Read` are then parts of the frames, cut anywhere.
 */
export const BLOB_ENCODING = "firn-blob-encoding";
/** See {@link BLOB_ENCODING}. */
export const AS_FRAMES = "zstd";

/** The longest frame of a chunk: room for the headers of blocks besides its content. */
export const MAX_FRAME_LENGTH: number = MAX_VALUE_LENGTH + 64 * 1024;

/** Bytes of chunks that are asked for at once, unless the store wants more; as many again are asked for before they are taken. */
const BATCH = 1024 * 1024;
const BATCHES = 2;

/** The frames of a blob. */
export interface BlobFrames extends AsyncIterable<Bytes> {
  /** Length of the blob's plain bytes. */
  readonly size: number;
  /** Length of all frames, where it is known before they are read. */
  readonly length?: number;
}

/**
 * Opens the frames of a blob; `undefined`: it is not there. They are proven as `getStored` does it, and it fails as reading does. Each
 * lies in one piece.
 */
export async function openBlobFrames(blobs: BlobService, digest: Digest): Promise<BlobFrames | undefined> {
  if (!blobs.getStored) {
    const blob = await blobs.open(digest);
    return blob && { size: blob.size, [Symbol.asyncIterator]: () => rawFrames(blob) };
  }
  const [form] = await blobs.getStored([digest]);
  if (form) {
    const frame = frameOf(form);
    return { size: form.size, length: frame.length, [Symbol.asyncIterator]: () => only(frame) };
  }
  const chunks = await blobs.chunks(digest);
  if (!chunks) return undefined;
  const size = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
  return { size, [Symbol.asyncIterator]: () => chunkFrames(blobs, digest, chunks) };
}

/** The form as a frame, which it may be already. */
export function frameOf({ frame, bytes }: StoredForm): Bytes {
  return frame ? bytes : rawFrame(bytes);
}

async function* only(frame: Bytes): AsyncGenerator<Bytes, void, void> {
  yield await frame;
}

async function* rawFrames(pieces: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, void> {
  let empty = true;
  for await (const piece of pieces) {
    empty = false;
    yield rawFrame(piece);
  }
  if (empty) yield rawFrame(EMPTY);
}

async function* chunkFrames(
  blobs: BlobService,
  digest: Digest,
  chunks: readonly ChunkMeta[],
): AsyncGenerator<Bytes, void, void> {
  if (chunks.length === 0) yield rawFrame(EMPTY);
  const most = Math.min(MAX_VALUE_LENGTH, Math.max(BATCH, (blobs.readAhead ?? 0) / BATCHES));
  const ask = async (batch: readonly ChunkMeta[]) => {
    const forms = await blobs.getStored!(batch.map((chunk) => chunk.digest));
    return forms.map((form, i) => {
      if (form?.size === batch[i].size) return frameOf(form);
      const name = formatDigest(digest);
      const why = form ? "has another length" : "is not there";
      const message = `Cannot read blob ${name}: its chunk ${formatDigest(batch[i].digest)} ${why}`;
      throw new DamageError("blob", name, message);
    });
  };
  for await (const frames of ahead(batchesOf(chunks, most), BATCHES, ask)) yield* frames;
}

/** Chunks in groups of at most so many bytes, but at least one. */
function batchesOf(chunks: readonly ChunkMeta[], most: number): ChunkMeta[][] {
  const batches: ChunkMeta[][] = [];
  let length = Infinity;
  for (const chunk of chunks) {
    if (length + chunk.size > most) {
      batches.push([]);
      length = 0;
    }
    batches.at(-1)!.push(chunk);
    length += chunk.size;
  }
  return batches;
}
