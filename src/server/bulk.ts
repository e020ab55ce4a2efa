/**
 * Contents by the thousand over plain HTTP, for clients that would otherwise wait for a round trip a file: a page that
 * fetches only what it lacks, or sends only what this store lacks.
 *
 *   POST /blob/missing      digests → those of no blob here, in their order
 *   POST /blob/read         digests → for each, in order, an answer: the blob's bytes
 *   POST /blob/chunks       digests → for each an answer: its chunks, each a digest and a length (u32, little endian)
 *   POST /blob/write        sequence of blobs → JSON {"blobs":…}; each is stored under its own digest
 *   POST /directory/read    digests → for each an answer: the Directory's canonical encoding
 *   PUT /blob/DIGEST?joined digests of blobs that are here → the blob they make one after the other, which must be DIGEST;
 *                           answered like PUT /blob. So a blob is sent by those of its chunks that were missing.
 *
 *   digests  := BLAKE3 digests of 32 bytes, one after the other, at most 65,536 for /blob/missing and ?joined and 4096 otherwise
 *   sequence := { length(varint) message }, as in `content.ts`, each message at most 4 MiB
 *   answers  := a sequence of answers, in which each has a byte of its kind before it:
 *     absent := nothing, not even that byte     found := 0x01 bytes     long := 0x02
 *
 * Blobs that are read come in a Content-Encoding that the client takes, and how long they were on the way is told to pages (Timing-
 * Allow-Origin): most of what packages are made of is text and programs, which take a third then.
 *
 * `long` is a blob of over 4 MiB: ask for its chunks. Chunks of a blob are blobs. What is damaged here ends the answer in a
 * broken connection: what came before it is right. Bodies may come in a Content-Encoding. Refusals are a line of text.
 */
import type { Context, Hono } from "hono";
import { Background } from "../bytes/background.ts";
import { type Bytes, concat, equals } from "../bytes/bytes.ts";
import { readDelimited, writeDelimited } from "../bytes/delimited.ts";
import { toReadable } from "../bytes/streams.ts";
import { MAX_VALUE_LENGTH } from "../castore/byte_store.ts";
import type { ChunkMeta } from "../castore/blob_service.ts";
import { type Digest, DIGEST_LENGTH, formatDigest } from "../castore/digest.ts";
import { encodeDirectory } from "../castore/directory.ts";
import { ClaimError, MissingError } from "../errors.ts";
import { createBlake3 } from "../hash/blake3.ts";
import { bodyStream } from "./bodies.ts";
import { contentEncoding, decodedBody } from "./content_encoding.ts";
import type { ServerContext } from "./context.ts";
import { HttpError } from "./http_error.ts";

/** Most digests in a request that is answered with digests, or with one blob. */
const MANY = 65_536;
/** Most digests in a request that is answered with what they name. */
const SOME = 4096;
/** Questions to the store that are under way at once, for one request. */
const AHEAD = 64;
/** Bytes of blobs that may be on their way to the store, for one request. */
const WRITE_WINDOW = 16 * 1024 * 1024;

const FOUND = Uint8Array.of(1);
const LONG = Uint8Array.of(2);
const ABSENT = new Uint8Array(0);
/** The encodings blobs are read in, the best first. */
const ENCODINGS = ["zstd", "gzip"] as const;
const BINARY = { "content-type": "application/octet-stream", "x-content-type-options": "nosniff" };

/** Adds the routes. */
export function bulkRoutes(app: Hono, context: ServerContext): void {
  const { blobs, directories } = context;
  app.post("/blob/missing", async (c) => {
    const asked = await digestsOf(c, MANY, context);
    const there = ahead(asked, AHEAD, (digest) => blobs.has(digest));
    const missing: Bytes[] = [];
    let i = 0;
    for await (const has of there) {
      if (!has) missing.push(asked[i]);
      i++;
    }
    return new Response(concat(missing), { headers: BINARY });
  });
  answering(app, "/blob/read", "blobs", context, async (digest) => {
    const blob = await blobs.open(digest);
    if (!blob) return ABSENT;
    return blob.size > MAX_VALUE_LENGTH ? LONG : concat([FOUND, await blob.bytes()]);
  });
  answering(app, "/blob/chunks", "chunk lists", context, async (digest) => {
    const chunks = await blobs.chunks(digest);
    return chunks ? concat([FOUND, encodeChunks(chunks)]) : ABSENT;
  });
  answering(app, "/directory/read", "Directories", context, async (digest) => {
    const directory = await directories.get(digest);
    return directory ? concat([FOUND, encodeDirectory(directory)]) : ABSENT;
  });
  app.post("/blob/write", (c) => writeBlobs(c, context));
}

/** Stores the blob that is made of others, and answers like a PUT of it. */
export async function putJoined(c: Context, claimed: Digest, context: ServerContext): Promise<Response> {
  const parts = await digestsOf(c, MANY, context);
  const { digest, size } = await context.blobs.put(joined(parts, claimed, context));
  context.log(`received blob ${formatDigest(digest)} (${size} bytes) by its chunks`);
  return c.json({ digest: formatDigest(digest), size });
}

/** The bytes, ending in an error if they are not what they were said to be: so none of them become a blob. */
async function* joined(
  parts: readonly Digest[],
  claimed: Digest,
  { blobs }: ServerContext,
): AsyncGenerator<Bytes, void, void> {
  const hasher = createBlake3();
  for await (
    const [part, digest] of ahead(parts, 4, async (digest) => [await blobs.open(digest), digest] as const)
  ) {
    if (!part) {
      const name = formatDigest(digest);
      throw new MissingError(
        "blob",
        name,
        `Cannot join the blob: its chunk ${name} is not here; send it first`,
      );
    }
    for await (const piece of part) {
      hasher.update(piece);
      yield piece;
    }
  }
  const actual = hasher.digest();
  if (!equals(actual, claimed)) {
    throw new ClaimError("blob digest", formatDigest(claimed), formatDigest(actual));
  }
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
      writes.follow(blob.length + DIGEST_LENGTH, context.blobs.put(blob).then(() => {}));
    }
  } finally {
    await writes.idle();
  }
  writes.check();
  context.log(`received ${count} blobs (${length} bytes)`);
  return c.json({ blobs: count });
}

/** A route that answers each digest by itself. */
function answering(
  app: Hono,
  path: string,
  what: string,
  context: ServerContext,
  answer: (digest: Digest) => Promise<Uint8Array>,
): void {
  app.post(path, async (c) => {
    const asked = await digestsOf(c, SOME, context);
    const answers = async function* () {
      try {
        yield* gathered(writeDelimited(ahead(asked, AHEAD, answer)));
      } catch (error) {
        context.log(`failed in the middle of ${what}: ${(error as Error).message}`);
        throw error;
      }
    };
    const encoding = path === "/blob/read"
      ? encodingFor(c.req.header("accept-encoding"), context)
      : undefined;
    if (!encoding) return new Response(toReadable(answers()), { headers: BINARY });
    return new Response(toReadable(context.codec.compress(encoding, answers())), {
      headers: {
        ...BINARY,
        "content-encoding": encoding,
        vary: "Accept-Encoding",
        "timing-allow-origin": "*",
      },
    });
  });
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

async function digestsOf(c: Context, most: number, context: ServerContext): Promise<Digest[]> {
  const body = await decodedBody(c.req.raw, most * DIGEST_LENGTH, "list of digests", context);
  if (body.length % DIGEST_LENGTH !== 0) {
    throw new HttpError(
      400,
      `Cannot read the digests: want ${DIGEST_LENGTH} bytes for each, and got ${body.length}`,
    );
  }
  const digests: Digest[] = [];
  for (let at = 0; at < body.length; at += DIGEST_LENGTH) digests.push(body.subarray(at, at + DIGEST_LENGTH));
  return digests;
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

/** What `ask` gives for each, in order, asked a few ahead. Leaving early asks no more. */
async function* ahead<Q, A>(
  questions: readonly Q[],
  count: number,
  ask: (question: Q) => Promise<A>,
): AsyncGenerator<A, void, void> {
  const asked: Promise<A>[] = [];
  for (let next = 0; next < questions.length || asked.length > 0;) {
    while (next < questions.length && asked.length < count) {
      const answer = ask(questions[next++]);
      answer.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
      asked.push(answer);
    }
    yield await asked.shift()!;
  }
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
