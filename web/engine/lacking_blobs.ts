/**
 * Contents that a tab lacks, from a firn server: chunks that are not here, many in a request, each verified by its digest
 * when it comes. A file of several chunks becomes one once all of them are here and together have the file's digest.
 */
import type { FirnContents } from "../../src/adapters/nix_http/firn_contents.ts";
import { Background } from "../../src/bytes/background.ts";
import { equals } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import type { BlobService, ChunkMeta } from "../../src/castore/blob_service.ts";
import { type ByteStore, MAX_VALUE_LENGTH } from "../../src/castore/byte_store.ts";
import { type Digest, formatDigest } from "../../src/castore/digest.ts";
import { blobKey, chunkKey, encodeChunkList, putLong } from "../../src/castore/layout.ts";
import type { FileNode } from "../../src/castore/node.ts";
import { DamageError, MissingError } from "../../src/errors.ts";
import { createBlake3 } from "../../src/hash/blake3.ts";
import { DEFAULT_CHUNK_SIZES } from "../../src/hash/fastcdc.ts";
import type { Job } from "./job.ts";

/** A blob up to this length is one chunk wherever chunks are cut as here. */
const SHORT = DEFAULT_CHUNK_SIZES.min;
/** Files whose chunks are found out and fetched together. */
const GROUP = 4096;
/**
 * Of chunks from this length the frames are asked for, which cost the server nothing. Shorter ones it compresses together, as each would
 * gain little by itself. Measured for trees of headers, of npm packages and of Python, beside compressing all together: frames of all
 * would be 5 to 13 % more bytes; so it is 0.3 to 3 %, for a fifth to a third of the server's time on the two large ones.
 */
const WORTH_A_FRAME = 16 * 1024;
/** What is asked for in one request, and how many requests are under way. */
const REQUEST_BYTES = 4 * 1024 * 1024;
const REQUEST_COUNT = 1024;
const REQUESTS = 3;
/** Bytes of chunks that may be on their way into the store. */
const WRITE_WINDOW = 16 * 1024 * 1024;
/** Chunks of a file that are read back to be hashed, at once. */
const READ_AHEAD = 8;

/** Where contents go and come from. */
export interface BlobFetch {
  readonly store: ByteStore;
  readonly blobs: BlobService;
  readonly contents: FirnContents;
  readonly job: Job;
}

/** A file of several chunks, as the server tells them. */
export interface Long {
  readonly node: FileNode;
  readonly chunks: readonly ChunkMeta[];
}

/** Brings the contents of files here: resolves when all of them are. */
export async function fetchFiles(
  files: Iterable<FileNode> | AsyncIterable<FileNode>,
  fetch: BlobFetch,
): Promise<void> {
  let group: FileNode[] = [];
  for await (const file of files) {
    group.push(file);
    if (group.length < GROUP) continue;
    await fetchGroup(group, fetch);
    group = [];
  }
  await fetchGroup(group, fetch);
}

async function fetchGroup(files: readonly FileNode[], fetch: BlobFetch): Promise<void> {
  const { job, blobs } = fetch;
  const there = await Promise.all(files.map(({ digest }) => blobs.has(digest)));
  const lacking: FileNode[] = [];
  files.forEach((file, i) => {
    if (there[i]) job.count(file.size, true);
    else lacking.push(file);
  });
  job.signal.throwIfAborted();
  const short = lacking.filter(({ size }) => size <= SHORT);
  const long = await listChunks(lacking.filter(({ size }) => size > SHORT), fetch);
  const wanted = new Map<string, ChunkMeta>();
  for (const { digest, size } of short) wanted.set(toHex(digest), { digest, size });
  for (const { chunks } of long) for (const chunk of chunks) wanted.set(toHex(chunk.digest), chunk);
  await fetchChunks([...wanted.values()], fetch);
  for (const file of long) await joinFile(file, fetch);
}

/** The chunks of files, of which those that are not cut as here have been fetched already. */
async function listChunks(files: readonly FileNode[], fetch: BlobFetch): Promise<Long[]> {
  const lists = await fetch.contents.chunkLists(files.map(({ digest }) => digest));
  const long: Long[] = [];
  for (const [i, chunks] of lists.entries()) {
    const node = files[i];
    if (!chunks) throw new MissingError("blob", formatDigest(node.digest));
    const size = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
    if (size !== node.size) throw notOfFile(node);
    if (chunks.every((chunk) => chunk.size <= MAX_VALUE_LENGTH)) long.push({ node, chunks });
    else await fetchWhole(node, fetch);
  }
  return long;
}

/** Fetches the chunks that are lacking. */
async function fetchChunks(chunks: readonly ChunkMeta[], fetch: BlobFetch): Promise<void> {
  const { store, job } = fetch;
  const there = await Promise.all(chunks.map(({ digest }) => store.has(chunkKey(digest))));
  const lacking = chunks.filter(({ size }, i) => {
    if (there[i]) job.count(size, true);
    return !there[i];
  });
  if (lacking.length === 0) return;
  job.enter("fetching");
  const requests = [
    ...inRequests(lacking.filter(({ size }) => size < WORTH_A_FRAME), false),
    ...inRequests(lacking.filter(({ size }) => size >= WORTH_A_FRAME), true),
  ];
  const writes = new Background(WRITE_WINDOW);
  let failed = false;
  const run = async () => {
    for (let request = requests.shift(); request && !failed; request = requests.shift()) {
      try {
        await fetchRequest(request, writes, fetch);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  try {
    const results = await Promise.allSettled(Array.from({ length: REQUESTS }, run));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  } finally {
    await writes.idle();
  }
  writes.check();
}

/** Chunks that are asked for together. */
interface BlobRequest {
  readonly chunks: readonly ChunkMeta[];
  /** Whether as they are stored. */
  readonly asStored: boolean;
}

async function fetchRequest(
  { chunks, asStored }: BlobRequest,
  writes: Background,
  fetch: BlobFetch,
): Promise<void> {
  const { contents, store, job } = fetch;
  let i = 0;
  const digests = chunks.map(({ digest }) => digest);
  for await (const bytes of contents.readBlobs(digests, { asStored })) {
    job.signal.throwIfAborted();
    const { digest, size } = chunks[i++];
    if (bytes === "absent") throw new MissingError("blob", formatDigest(digest));
    if (bytes === "long" || bytes.length !== size) throw new DamageError("blob", formatDigest(digest));
    await writes.room(bytes.length);
    writes.follow(bytes.length, store.put(chunkKey(digest), bytes).then(() => job.count(size)));
  }
}

function inRequests(chunks: readonly ChunkMeta[], asStored: boolean): BlobRequest[] {
  const requests: BlobRequest[] = [];
  let request: ChunkMeta[] = [];
  let length = 0;
  for (const chunk of chunks) {
    if (request.length === REQUEST_COUNT || (length > 0 && length + chunk.size > REQUEST_BYTES)) {
      requests.push({ chunks: request, asStored });
      request = [];
      length = 0;
    }
    request.push(chunk);
    length += chunk.size;
  }
  if (request.length > 0) requests.push({ chunks: request, asStored });
  return requests;
}

/** Makes the file of its chunks, which are here, once they have been proven to be its. Throws `DamageError` if they are not. */
export async function joinFile({ node, chunks }: Long, { store, job }: BlobFetch): Promise<void> {
  const hasher = createBlake3();
  for (let at = 0; at < chunks.length; at += READ_AHEAD) {
    job.signal.throwIfAborted();
    const some = chunks.slice(at, at + READ_AHEAD);
    for (
      const [i, bytes] of (await Promise.all(some.map(({ digest }) => store.get(chunkKey(digest))))).entries()
    ) {
      if (!bytes) throw new DamageError("blob", formatDigest(some[i].digest));
      hasher.update(bytes);
    }
  }
  if (!equals(hasher.digest(), node.digest)) throw notOfFile(node);
  if (chunks.length > 1) await putLong(store, blobKey(node.digest), encodeChunkList(chunks));
}

/** Fetches a file that the server cuts into pieces longer than chunks may be here. */
async function fetchWhole({ digest, size }: FileNode, { blobs, contents, job }: BlobFetch): Promise<void> {
  job.enter("fetching");
  const slice = await contents.readSlice(digest, { start: 0, end: size });
  if (!slice) throw new MissingError("blob", formatDigest(digest));
  await blobs.put(slice);
  job.count(size);
}

function notOfFile({ digest }: { digest: Digest }): DamageError {
  const name = formatDigest(digest);
  return new DamageError("blob", name, `Cannot take blob ${name}: the chunks listed are those of another`);
}
