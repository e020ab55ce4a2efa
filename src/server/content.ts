/**
 * Contents over plain HTTP, for pages, which cannot stream requests of remote calls, and for tools like curl.
 *
 *   PUT /blob                       any bytes, of any length
 *   PUT /blob/DIGEST                the same, refused (400) unless they have that digest; nothing is visible then
 *   GET /blob/DIGEST                the bytes; one Range, ETag
 *   GET /blob/DIGEST?zstd           the bytes as zstd frames, one for each chunk, as they are stored (application/zstd); ETag
 *   GET /blob/DIGEST?bao[&range=R]  a slice of them, which is verified against the digest alone; ETag
 *   PUT ?joined, POST               a blob or closure that other blobs make, and many at once: `bulk.ts`
 *   PUT /directory                  a closure of Directories, leaves first, as a sequence
 *   GET /directory/DIGEST           one Directory: its canonical encoding
 *   GET /directory/DIGEST?recursive its closure, root first, as a sequence
 *   PUT /path-info                  a PathInfo message; answered with the one that is stored then
 *   GET /path-info/HASHPART         a PathInfo message
 *
 *   DIGEST   := BLAKE3 in base64url without padding (43 characters), as in URLs of NARs, or in hex (64), as `b3sum` prints it;
 *               their lengths tell them apart. Standard base64 has slashes.
 *   HASHPART := the 32 characters that begin the base name of a store path
 *   R        := first "-" [ last ]   bytes, counted from 0, `last` included, as in a Range header; all, unless told
 *   sequence := { length(varint) message }   what protobuf libraries call delimited
 *
 * A slice is that of `hash/bao_tree.ts`, with groups of 16 KiB and the last of them always there: so the blob's size, which
 * it begins with, is proven, too. A range behind the end is no error but the proof that nothing is there. The range is not
 * a Range header, because that would be one of the slice's bytes, and caches would put together what belongs to none.
 *
 * Frames of zstd (RFC 8878) may follow each other, so any tool for zstd makes the blob of them: `curl …?zstd | zstd -d`. Nothing is
 * compressed or decompressed for them here: a chunk that is stored plain comes as a raw frame. They come whole, a Range is not looked
 * at; and their ETag is a weak one, as the blob may be stored otherwise one day. A server that knows no `?zstd` answers with the plain
 * bytes: the type of the content tells.
 *
 * Messages are protobuf, of either package (`snix.*`, `tvix.*`: the same bytes), at most `maxMessageBytes` long. PUT of a
 * blob and of a closure are answered with JSON, `{"digest":"blake3-…","size":…}` and `{"digest":"blake3-…"}`. Bodies may come in a
 * Content-Encoding. HEAD goes wherever GET does. Refusals are a line of text.
 */
import type { Context, Hono } from "hono";
import { fromBase64Url, toBase64Url } from "../bytes/base64.ts";
import type { Bytes } from "../bytes/bytes.ts";
import { fromHex } from "../bytes/hex.ts";
import { toReadable } from "../bytes/streams.ts";
import { openBlobFrames } from "../castore/blob_frames.ts";
import { type Digest, DIGEST_LENGTH, formatDigest } from "../castore/digest.ts";
import { type Directory, encodeDirectory } from "../castore/directory.ts";
import type { NamedDirectory } from "../castore/directory_service.ts";
import { decodeDirectory } from "../castore/read_directory.ts";
import { MissingError } from "../errors.ts";
import { encodeSlice, sliceLength } from "../hash/bao_slice.ts";
import type { BaoRange } from "../hash/bao_tree.ts";
import { formatStorePath, isHashPart } from "../nix/store_path.ts";
import { decodePathInfo, encodePathInfo } from "../store/messages.ts";
import { checkWrites, pathInfosFor } from "./access/reach.ts";
import { bodyStream } from "./bodies.ts";
import { bulkRoutes } from "./bulk.ts";
import { contentEncoding, decodedBody } from "./content_encoding.ts";
import type { ServerContext } from "./context.ts";
import { readDelimited, writeDelimited } from "../bytes/delimited.ts";
import { HttpError } from "./http_error.ts";
import { joinedDirectories, proving, putJoined } from "./joined.ts";
import { notFound } from "./not_found.ts";
import { FOR_EVER, isKnown, rangedResponse } from "./ranged_file.ts";
import { callerOf, noted } from "./visitors.ts";

const PROTOBUF = { "content-type": "application/x-protobuf", "x-content-type-options": "nosniff" };
const DIGEST = ":digest{(?:[A-Za-z0-9_\\-]{43}|[0-9a-fA-F]{64})}";

/** Whether a path is one of those here. */
export function isContentPath(path: string): boolean {
  return /^\/(?:blob|directory|path-info)(?:\/|$)/.test(path);
}

/** Adds the routes of contents. */
export function contentRoutes(app: Hono, context: ServerContext): void {
  const isJoined = (c: Context) => new URL(c.req.url).searchParams.has("joined");
  const put = (c: Context, claimed?: Digest) => (isJoined(c) ? putJoined : putBlob)(c, claimed, context);
  app.put("/blob", (c) => put(c));
  app.put(`/blob/${DIGEST}`, (c) => put(c, digestOf(c)));
  app.get(`/blob/${DIGEST}`, (c) => {
    const query = new URL(c.req.url).searchParams;
    if (query.has("zstd")) return getFrames(c, digestOf(c), query.has("bao"), context);
    if (!query.has("bao")) return getBlob(c, digestOf(c), context);
    return getSlice(c, digestOf(c), parseSliceRange(query.get("range")), context);
  });
  app.put("/directory", (c) => putClosure(c, isJoined(c), context));
  app.get(`/directory/${DIGEST}`, (c) => {
    const recursive = new URL(c.req.url).searchParams.has("recursive");
    return recursive ? getClosure(c, digestOf(c), context) : getDirectory(digestOf(c), context);
  });
  bulkRoutes(app, context);
  app.put("/path-info", (c) => putPathInfo(c, context));
  app.get("/path-info/:hashPart", (c) => getPathInfo(c, c.req.param("hashPart"), context));
}

function digestOf(c: Context): Digest {
  const text = c.req.param("digest")!;
  return text.length === DIGEST_LENGTH * 2 ? fromHex(text) : fromBase64Url(text);
}

async function putBlob(c: Context, claimed: Digest | undefined, context: ServerContext): Promise<Response> {
  const bytes = decodedStream(c.req.raw, context);
  const { digest, size } = await context.blobs.put(claimed ? proving(bytes, claimed) : bytes);
  context.watch?.stored?.("blob", size);
  noted(c.req.raw, context, `received blob ${formatDigest(digest)} (${size} bytes)`);
  return c.json({ digest: formatDigest(digest), size });
}

async function getBlob(c: Context, digest: Digest, context: ServerContext): Promise<Response> {
  const blob = await context.blobs.open(digest);
  if (!blob) return notFound();
  return await rangedResponse(c, {
    what: "the blob",
    size: blob.size,
    etag: `"${toBase64Url(digest)}"`,
    headers: { "content-type": "application/octet-stream", "x-content-type-options": "nosniff" },
    async read(range) {
      const part = range ? await context.blobs.open(digest, { range }) : blob;
      return part && logged(part, "a blob", context);
    },
  });
}

async function getFrames(
  c: Context,
  digest: Digest,
  asSlice: boolean,
  context: ServerContext,
): Promise<Response> {
  if (asSlice) throw new HttpError(400, "Cannot give a slice as zstd frames: ask for ?bao or for ?zstd");
  const frames = await openBlobFrames(context.blobs, digest);
  if (!frames) return notFound();
  const etag = `"${toBase64Url(digest)}.zstd"`;
  const headers: Record<string, string> = {
    "content-type": "application/zstd",
    "x-content-type-options": "nosniff",
    "cache-control": FOR_EVER,
    "accept-ranges": "none",
    etag: `W/${etag}`,
  };
  if (isKnown(c, etag)) return new Response(null, { status: 304, headers });
  if (frames.length !== undefined) headers["content-length"] = String(frames.length);
  if (c.req.method === "HEAD") return new Response(null, { headers });
  return new Response(toReadable(logged(frames, "the frames of a blob", context)), { headers });
}

function parseSliceRange(text: string | null): BaoRange {
  if (text === null) return { start: 0, end: Number.MAX_SAFE_INTEGER };
  const match = /^(\d{1,15})-(\d{1,15})?$/.exec(text);
  const start = Number(match?.[1]);
  const end = match?.[2] === undefined ? Number.MAX_SAFE_INTEGER : Number(match[2]) + 1;
  if (!match || end <= start) {
    throw new HttpError(400, "Cannot read that range: want FIRST-LAST or FIRST-, as in range=0-1023");
  }
  return { start, end };
}

async function getSlice(
  c: Context,
  digest: Digest,
  range: BaoRange,
  context: ServerContext,
): Promise<Response> {
  const { blobs } = context;
  const blob = await blobs.open(digest, { range: { start: 0, end: 0 } });
  if (!blob) return notFound();
  const { size } = blob;
  const headers = {
    "content-type": "application/x-bao-slice",
    "x-content-type-options": "nosniff",
    "cache-control": FOR_EVER,
    "accept-ranges": "none",
    "content-length": String(sliceLength(size, range)),
    etag: `"${toBase64Url(digest)}.bao"`,
  };
  if (isKnown(c, headers.etag)) return new Response(null, { status: 304, headers });
  if (c.req.method === "HEAD") return new Response(null, { headers });
  const outboard = await blobs.outboard(digest);
  if (!outboard) return notFound();
  const read = async function* (range: BaoRange): AsyncGenerator<Bytes, void, void> {
    const part = await blobs.open(digest, { range });
    if (!part) throw new MissingError("blob", formatDigest(digest));
    yield* part;
  };
  const slice = encodeSlice({ digest, size, outboard }, range, read);
  return new Response(toReadable(logged(slice, "a slice", context)), { headers });
}

async function putClosure(c: Context, isJoined: boolean, context: ServerContext): Promise<Response> {
  const messages = isJoined
    ? await joinedDirectories(c, context)
    : readDelimited(decodedStream(c.req.raw, context), context.maxMessageBytes, "Directory");
  const digest = await context.directories.putClosure(decoded(messages));
  context.watch?.stored?.("directory", 0);
  noted(c.req.raw, context, `received Directory ${formatDigest(digest)}`);
  return c.json({ digest: formatDigest(digest) });
}

async function* decoded(messages: AsyncIterable<Bytes>): AsyncGenerator<Directory, void, void> {
  for await (const message of messages) yield decodeDirectory(message);
}

async function getDirectory(digest: Digest, { directories }: ServerContext): Promise<Response> {
  const directory = await directories.get(digest);
  if (!directory) return notFound();
  return protobuf(encodeDirectory(directory), {
    "cache-control": FOR_EVER,
    etag: `"${toBase64Url(digest)}"`,
  });
}

async function getClosure(c: Context, digest: Digest, context: ServerContext): Promise<Response> {
  const closure = context.directories.getClosure(digest)[Symbol.asyncIterator]();
  const first = await closure.next();
  if (first.done) return notFound();
  const headers = { ...PROTOBUF, "cache-control": FOR_EVER };
  if (c.req.method === "HEAD") {
    await closure.return?.();
    return new Response(null, { headers });
  }
  const body = writeDelimited(encodings(first.value, closure));
  return new Response(toReadable(logged(body, "a closure", context)), { headers });
}

async function* encodings(
  first: NamedDirectory,
  rest: AsyncIterator<NamedDirectory>,
): AsyncGenerator<Bytes, void, void> {
  try {
    yield first.encoded;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value.encoded;
  } finally {
    await rest.return?.();
  }
}

async function putPathInfo(c: Context, context: ServerContext): Promise<Response> {
  const info = decodePathInfo(
    await decodedBody(c.req.raw, context.maxMessageBytes, "path info", context),
  );
  checkWrites(callerOf(c), info.storePath.name);
  const stored = await context.provenPathInfos.put(info);
  context.watch?.stored?.("path", stored.narSize);
  noted(c.req.raw, context, `published ${formatStorePath(stored.storePath)} (${stored.narSize} bytes)`);
  return protobuf(encodePathInfo(stored));
}

async function getPathInfo(
  c: Context,
  hashPart: string,
  { pathInfos }: ServerContext,
): Promise<Response> {
  const visible = pathInfosFor(callerOf(c), pathInfos);
  const info = isHashPart(hashPart) ? await visible.get(hashPart) : undefined;
  return info ? protobuf(encodePathInfo(info)) : notFound();
}

function decodedStream(request: Request, { codec, stallMs }: ServerContext): AsyncIterable<Bytes> {
  return codec.decompress(contentEncoding(request), bodyStream(request, stallMs));
}

function protobuf(message: Bytes, headers: Record<string, string> = {}): Response {
  return new Response(message, {
    headers: { ...PROTOBUF, "content-length": String(message.length), ...headers },
  });
}

/** A failure in the middle of a body breaks the connection, which is all that can be told the client then; the log gets the rest. */
async function* logged(
  source: AsyncIterable<Bytes>,
  what: string,
  { logFailure }: ServerContext,
): AsyncGenerator<Bytes, void, void> {
  try {
    yield* source;
  } catch (error) {
    logFailure(`failed in the middle of ${what}: ${(error as Error).message}`);
    throw error;
  }
}
