/**
 * Contents by the thousand over plain HTTP, for clients that would otherwise wait for a round trip a file: a page that
 * fetches only what it lacks, or sends only what this store lacks.
 *
 *   POST /blob/missing      digests → those of no blob here, in their order
 *   POST /blob/read         digests → for each, in order, an answer: the blob's bytes
 *   POST /blob/read?zstd    the same as blobs are stored: those stored as zstd frames come as these, the others as above
 *   POST /blob/chunks       digests → for each an answer: its chunks, each a digest and a length (u32, little endian)
 *   POST /blob/write        sequence of blobs → JSON {"blobs":…}; each is stored under its own digest
 *   POST /directory/read    digests → for each an answer: the Directory's canonical encoding
 *   POST /path-info/missing hash parts, 20 bytes each, at most 65,536 → those of no path here, in their order
 *   PUT /blob/DIGEST?joined digests of blobs that are here → the blob they make one after the other, which must be DIGEST;
 *                           answered like PUT /blob. So a blob is sent by those of its chunks that were missing.
 *   PUT /blob?joined        the same of whatever they make: a part of a blob that has too many chunks for one list
 *   PUT /directory?joined   digests of blobs that are here → the closure of Directories that the sequence in them is; answered like
 *                           PUT /directory. So a closure is sent that is longer than a body may be.
 *
 *   digests  := BLAKE3 digests of 32 bytes, one after the other, at most 65,536 for /blob/missing and ?joined and 4096 otherwise
 *   sequence := { length(varint) message }, as in `content.ts`, each message at most 4 MiB
 *   answers  := a sequence of answers, in which each has a byte of its kind before it:
 *     absent := nothing, not even that byte     found := 0x01 bytes     long := 0x02     framed := 0x03 frame+
 *
 * Blobs that are read come in a Content-Encoding that the client takes, and how long they were on the way is told to pages (Timing-
 * Allow-Origin): most of what packages are made of is text and programs, which take a third then. Asked with `?zstd` for them as they
 * are stored, nothing is compressed or decompressed here, and there is no Content-Encoding. A blob of one chunk is `framed` by one
 * frame, as `castore/stored_form.ts` has it, and one of several by a frame for each chunk. A server that does not know `?zstd` answers
 * as without it.
 *
 * `long` is a blob of over 4 MiB: ask for its chunks. Chunks of a blob are blobs. What is damaged here ends the answer in a
 * broken connection: what came before it is right. Bodies may come in a Content-Encoding. Refusals are a line of text.
 */
import type { Context, Hono } from "hono";
import { ahead } from "../bytes/ahead.ts";
import { Background } from "../bytes/background.ts";
import { type Bytes, concat } from "../bytes/bytes.ts";
import { readDelimited, writeDelimited } from "../bytes/delimited.ts";
import { toNixBase32 } from "../bytes/nixbase32.ts";
import { collect, toReadable } from "../bytes/streams.ts";
import { MAX_VALUE_LENGTH } from "../castore/byte_store.ts";
import { openBlobFrames } from "../castore/blob_frames.ts";
import type { BlobService, ChunkMeta } from "../castore/blob_service.ts";
import { type Digest, DIGEST_LENGTH } from "../castore/digest.ts";
import { encodeDirectory } from "../castore/directory.ts";
import { pathInfosFor } from "./access/reach.ts";
import { bodyStream } from "./bodies.ts";
import { contentEncoding, decodedBody } from "./content_encoding.ts";
import type { ServerContext } from "./context.ts";
import { HttpError } from "./http_error.ts";
import { callerOf, noted } from "./visitors.ts";

/** Most digests in a request that is answered with digests, or with one blob. */
export const MANY = 65_536;
/** Most digests in a request that is answered with what they name. */
const SOME = 4096;
/** Questions to the store that are under way at once, for one request. */
const AHEAD = 64;
/** Bytes of blobs that may be on their way to the store, for one request. */
const WRITE_WINDOW = 16 * 1024 * 1024;

const HASH_PART_BYTES = 20;

const FOUND = Uint8Array.of(1);
const LONG = Uint8Array.of(2);
const FRAMED = Uint8Array.of(3);
const ABSENT = new Uint8Array(0);
/** The encodings blobs are read in, the best first. */
const ENCODINGS = ["zstd", "gzip"] as const;
const BINARY = { "content-type": "application/octet-stream", "x-content-type-options": "nosniff" };

/** Adds the routes. */
export function bulkRoutes(app: Hono, context: ServerContext): void {
  const { blobs, directories, pathInfos } = context;
  app.post("/blob/missing", async (c) => {
    return await missing(await digestsOf(c, MANY, context), (digest) => blobs.has(digest));
  });
  app.post("/path-info/missing", async (c) => {
    const asked = await listOf(c, HASH_PART_BYTES, MANY, context);
    const visible = pathInfosFor(callerOf(c), pathInfos);
    return await missing(asked, async (part) => await visible.get(toNixBase32(part)) !== undefined);
  });
  app.post("/blob/read", (c) => readBlobs(c, context));
  const answering = (path: string, what: string, answer: (digest: Digest) => Promise<Uint8Array>) => {
    app.post(path, async (c) => {
      return new Response(toReadable(await answersTo(c, what, context, answer)), { headers: BINARY });
    });
  };
  answering("/blob/chunks", "chunk lists", async (digest) => {
    const chunks = await blobs.chunks(digest);
    return chunks ? concat([FOUND, encodeChunks(chunks)]) : ABSENT;
  });
  answering("/directory/read", "Directories", async (digest) => {
    const directory = await directories.get(digest);
    return directory ? concat([FOUND, encodeDirectory(directory)]) : ABSENT;
  });
  app.post("/blob/write", (c) => writeBlobs(c, context));
}

async function writeBlobs(c: Context, context: ServerContext): Promise<Response> {
  const body = context.codec.decompress(contentEncoding(c.req.raw), bodyStream(c.req.raw, context.stallMs));
  const writes = new Background(WRITE_WINDOW);
  let count = 0;
  let length = 0;
  try {
    for await (const blob of readDelimited(body, MAX_VALUE_LENGTH, "blob")) {
      count++;
      length += blob.length;
      await writes.room(blob.length + DIGEST_LENGTH);
      writes.follow(
        blob.length + DIGEST_LENGTH,
        context.blobs.put(blob).then(({ size }) => context.watch?.stored?.("blob", size)),
      );
    }
  } finally {
    const calm = context.blobs.hurry?.();
    await writes.idle();
    calm?.();
  }
  writes.check();
  noted(c.req.raw, context, `received ${count} blobs (${length} bytes)`);
  return c.json({ blobs: count });
}

/** Those of the names that nothing here has. */
async function missing(names: readonly Bytes[], has: (name: Bytes) => Promise<boolean>): Promise<Response> {
  const lacking: Bytes[] = [];
  let i = 0;
  for await (const there of ahead(names, AHEAD, has)) {
    if (!there) lacking.push(names[i]);
    i++;
  }
  return new Response(concat(lacking), { headers: BINARY });
}

/** An answer to each digest in the body. */
async function answersTo(
  c: Context,
  what: string,
  context: ServerContext,
  answer: (digest: Digest) => Promise<Uint8Array>,
): Promise<AsyncGenerator<Bytes, void, void>> {
  const asked = await digestsOf(c, SOME, context);
  return async function* () {
    try {
      yield* gathered(writeDelimited(ahead(asked, AHEAD, answer)));
    } catch (error) {
      context.logFailure(`failed in the middle of ${what}: ${(error as Error).message}`);
      throw error;
    }
  }();
}

async function readBlobs(c: Context, context: ServerContext): Promise<Response> {
  const { blobs } = context;
  if (blobs.getStored && new URL(c.req.url).searchParams.has("zstd")) {
    const answers = await answersTo(
      c,
      "blobs as they are stored",
      context,
      (digest) => stored(digest, blobs),
    );
    return new Response(toReadable(answers), { headers: BINARY });
  }
  const answers = await answersTo(c, "blobs", context, (digest) => plain(digest, blobs));
  const encoding = encodingFor(c.req.header("accept-encoding"), context);
  if (!encoding) return new Response(toReadable(answers), { headers: BINARY });
  return new Response(toReadable(context.codec.compress(encoding, answers)), {
    headers: {
      ...BINARY,
      "content-encoding": encoding,
      vary: "Accept-Encoding",
      "timing-allow-origin": "*",
    },
  });
}

async function plain(digest: Digest, blobs: BlobService): Promise<Uint8Array> {
  const blob = await blobs.open(digest);
  if (!blob) return ABSENT;
  return blob.size > MAX_VALUE_LENGTH ? LONG : concat([FOUND, await blob.bytes()]);
}

async function stored(digest: Digest, blobs: BlobService): Promise<Uint8Array> {
  const [form] = await blobs.getStored!([digest]);
  if (form) return concat([form.frame ? FRAMED : FOUND, form.bytes]);
  const frames = await openBlobFrames(blobs, digest);
  if (!frames) return ABSENT;
  return frames.size > MAX_VALUE_LENGTH ? LONG : concat([FRAMED, await collect(frames)]);
}

/** The best encoding that a client takes and that can be made here. */
function encodingFor(
  accepted: string | undefined,
  { codec }: ServerContext,
): typeof ENCODINGS[number] | undefined {
  const taken = new Set<string>();
  for (const part of accepted?.split(",") ?? []) {
    const [name, ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    if (!parameters.some((text) => /^q=0(\.0*)?$/.test(text))) taken.add(name);
  }
  return ENCODINGS.find((encoding) => taken.has(encoding) && codec.compresses.has(encoding));
}

/** The digests that the body of a request is made of. */
export async function digestsOf(c: Context, most: number, context: ServerContext): Promise<Digest[]> {
  return await listOf(c, DIGEST_LENGTH, most, context);
}

/** The names of so many bytes each that a body is made of. */
async function listOf(c: Context, length: number, most: number, context: ServerContext): Promise<Bytes[]> {
  const what = length === DIGEST_LENGTH ? "digests" : "hash parts";
  const body = await decodedBody(c.req.raw, most * length, `list of ${what}`, context);
  if (body.length % length !== 0) {
    throw new HttpError(
      400,
      `Cannot read the ${what}: want ${length} bytes for each, and got ${body.length}`,
    );
  }
  const names: Bytes[] = [];
  for (let at = 0; at < body.length; at += length) names.push(body.subarray(at, at + length));
  return names;
}

function encodeChunks(chunks: readonly ChunkMeta[]): Bytes {
  const encoded = new Uint8Array(chunks.length * (DIGEST_LENGTH + 4));
  const view = new DataView(encoded.buffer);
  chunks.forEach(({ digest, size }, i) => {
    encoded.set(digest, i * (DIGEST_LENGTH + 4));
    view.setUint32(i * (DIGEST_LENGTH + 4) + DIGEST_LENGTH, size, true);
  });
  return encoded;
}

/** Short pieces put together: a socket is better served with few. */
async function* gathered(pieces: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, void> {
  let held: Bytes[] = [];
  let length = 0;
  for await (const piece of pieces) {
    held.push(piece);
    length += piece.length;
    if (length < 64 * 1024) continue;
    yield concat(held);
    held = [];
    length = 0;
  }
  if (length > 0) yield concat(held);
}
