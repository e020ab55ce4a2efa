/**
 * Reading files whose contents are not all here. A file of up to 8 MiB is fetched when it is looked at: those of its chunks
 * that are lacking. Of a longer one only the chunks that are looked at, each with the proof that it belongs to the file at
 * that place. Which are proven is remembered (`tab/part/<b3>`), so they are not fetched again, and not needed from anywhere.
 *
 *   part   := count:u32 { digest size:u32 } proven     little endian
 *   proven := one bit a chunk, the lowest of each byte first
 */
import { type Bytes, concat, equals } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import type { ChunkMeta } from "../../src/castore/blob_service.ts";
import { type ByteRange, type ByteStore, MAX_VALUE_LENGTH } from "../../src/castore/byte_store.ts";
import { type Digest, DIGEST_LENGTH, formatDigest } from "../../src/castore/digest.ts";
import { chunkKey } from "../../src/castore/layout.ts";
import type { FileNode } from "../../src/castore/node.ts";
import { DamageError, MissingError } from "../../src/errors.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { type BlobFetch, fetchFiles, joinFile } from "./lacking_blobs.ts";

/** Longer files are read by the part. */
const WHOLE = 8 * 1024 * 1024;
const META = DIGEST_LENGTH + 4;

/** A long file of which a part is here. */
interface Part {
  readonly chunks: readonly ChunkMeta[];
  readonly proven: boolean[];
}

/** Bytes of a file (the range within it), fetching what is lacking. `names` remembers which parts are here. */
export async function readLazily(
  node: FileNode,
  range: ByteRange,
  names: ByteStore,
  fetch: BlobFetch,
): Promise<Bytes> {
  const here = await fetch.blobs.open(node.digest, { range });
  if (here) return await here.bytes();
  if (node.size > WHOLE) {
    const part = await openPart(node, names, fetch);
    if (part) return await readPart(node, part, range, names, fetch);
  }
  await fetchFiles([node], fetch);
  const fetched = await fetch.blobs.open(node.digest, { range });
  if (!fetched) throw new MissingError("blob", formatDigest(node.digest));
  return await fetched.bytes();
}

/** Bytes of a file that can be had without fetching anything; `undefined`: not all of them are here. */
export async function readHere(
  node: FileNode,
  range: ByteRange,
  names: ByteStore,
  { blobs, store }: Pick<BlobFetch, "blobs" | "store">,
): Promise<Bytes | undefined> {
  const here = await blobs.open(node.digest, { range });
  if (here) return await here.bytes();
  const part = decodePart(await names.get(partKey(node.digest)));
  if (!part) return undefined;
  const covered = coveredBy(part, range);
  return covered.every(({ i }) => part.proven[i]) ? await bytesOf(covered, range, store) : undefined;
}

const partKey = (digest: Digest): string => "tab/part/" + toHex(digest);

async function openPart(node: FileNode, names: ByteStore, fetch: BlobFetch): Promise<Part | undefined> {
  const kept = decodePart(await names.get(partKey(node.digest)));
  if (kept) return kept;
  const [chunks] = await fetch.contents.chunkLists([node.digest]);
  if (!chunks) throw new MissingError("blob", formatDigest(node.digest));
  const size = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
  if (size !== node.size) throw wrongList(node);
  if (chunks.some((chunk) => chunk.size > MAX_VALUE_LENGTH)) return undefined;
  return { chunks, proven: chunks.map(() => false) };
}

interface Covered {
  readonly i: number;
  readonly start: number;
  readonly chunk: ChunkMeta;
}

/** The chunks a range touches. */
function coveredBy({ chunks }: Part, range: ByteRange): Covered[] {
  const covered: Covered[] = [];
  let start = 0;
  for (const [i, chunk] of chunks.entries()) {
    if (start >= range.end) break;
    if (start + chunk.size > range.start) covered.push({ i, start, chunk });
    start += chunk.size;
  }
  return covered;
}

async function readPart(
  node: FileNode,
  part: Part,
  range: ByteRange,
  names: ByteStore,
  fetch: BlobFetch,
): Promise<Bytes> {
  const covered = coveredBy(part, range);
  const lacking = covered.filter(({ i }) => !part.proven[i]);
  if (lacking.length > 0) {
    fetch.job.enter("fetching");
    for (const run of runsOf(lacking)) await fetchRun(node, run, part, fetch);
    if (part.proven.every((proven) => proven)) {
      await joinFile({ node, chunks: part.chunks }, fetch);
      await names.delete(partKey(node.digest));
    } else {
      const encoded = encodePart(part);
      if (encoded.length <= MAX_VALUE_LENGTH) await names.put(partKey(node.digest), encoded);
    }
  }
  return await bytesOf(covered, range, fetch.store);
}

/** Neighbours among chunks: one request brings them together. */
function runsOf(chunks: readonly Covered[]): Covered[][] {
  const runs: Covered[][] = [];
  for (const chunk of chunks) {
    const last = runs.at(-1);
    if (last && last.at(-1)!.i + 1 === chunk.i) last.push(chunk);
    else runs.push([chunk]);
  }
  return runs;
}

/** Fetches neighbouring chunks as a part of the file with its proof, which also proves that they are listed rightly. */
async function fetchRun(
  node: FileNode,
  run: readonly Covered[],
  part: Part,
  fetch: BlobFetch,
): Promise<void> {
  const last = run.at(-1)!;
  const slice = await fetch.contents.readSlice(node.digest, {
    start: run[0].start,
    end: last.start + last.chunk.size,
  });
  if (!slice) throw new MissingError("blob", formatDigest(node.digest));
  let held: Bytes[] = [];
  let length = 0;
  let next = 0;
  for await (const piece of slice) {
    fetch.job.signal.throwIfAborted();
    held.push(piece.slice());
    length += piece.length;
    while (next < run.length && length >= run[next].chunk.size) {
      const bytes = concat(held);
      const { chunk, i } = run[next++];
      const contents = bytes.subarray(0, chunk.size);
      if (!equals(blake3(contents), chunk.digest)) throw wrongList(node);
      await fetch.store.put(chunkKey(chunk.digest), contents);
      part.proven[i] = true;
      fetch.job.count(chunk.size);
      held = [bytes.subarray(chunk.size)];
      length -= chunk.size;
    }
  }
  if (next < run.length) throw wrongList(node);
}

async function bytesOf(covered: readonly Covered[], range: ByteRange, store: ByteStore): Promise<Bytes> {
  const parts = await Promise.all(covered.map(async ({ chunk, start }) => {
    const bytes = await store.get(chunkKey(chunk.digest));
    if (!bytes || !equals(blake3(bytes), chunk.digest)) {
      throw new DamageError("chunk", formatDigest(chunk.digest));
    }
    return bytes.subarray(Math.max(0, range.start - start), Math.max(0, range.end - start));
  }));
  return concat(parts);
}

function encodePart({ chunks, proven }: Part): Bytes {
  const bytes = new Uint8Array(4 + chunks.length * META + Math.ceil(chunks.length / 8));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, chunks.length, true);
  const bits = 4 + chunks.length * META;
  chunks.forEach(({ digest, size }, i) => {
    bytes.set(digest, 4 + i * META);
    view.setUint32(4 + i * META + DIGEST_LENGTH, size, true);
    if (proven[i]) bytes[bits + (i >> 3)] |= 1 << (i & 7);
  });
  return bytes;
}

function decodePart(bytes: Bytes | undefined): Part | undefined {
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = view.getUint32(0, true);
  const bits = 4 + count * META;
  const chunks: ChunkMeta[] = [];
  const proven: boolean[] = [];
  for (let i = 0; i < count; i++) {
    const at = 4 + i * META;
    const digest = bytes.slice(at, at + DIGEST_LENGTH);
    chunks.push({ digest, size: view.getUint32(at + DIGEST_LENGTH, true) });
    proven.push((bytes[bits + (i >> 3)] >> (i & 7) & 1) === 1);
  }
  return { chunks, proven };
}

function wrongList({ digest }: FileNode): DamageError {
  const name = formatDigest(digest);
  return new DamageError("blob", name, `Cannot take blob ${name}: the chunks listed are those of another`);
}
