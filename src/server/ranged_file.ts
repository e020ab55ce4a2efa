/** Answering for a file of which any range can be read: conditions, ranges, and HEAD (RFC 9110, sections 13 and 14). */
import type { Context } from "hono";
import type { Bytes } from "../bytes/bytes.ts";
import { toReadable } from "../bytes/streams.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import { HttpError } from "./http_error.ts";
import { notFound } from "./not_found.ts";
import { parseRange } from "./ranges.ts";

/** For answers that are the same for ever. */
export const FOR_EVER = "public, max-age=31536000, immutable";

/** A file that never changes. */
export interface RangedFile {
  /** What it is, for messages: `the NAR`. */
  readonly what: string;
  readonly size: number;
  /** With its quotes. */
  readonly etag: string;
  /** What it is served with besides. */
  readonly headers: Readonly<Record<string, string>>;
  /** Its bytes, or those of a range; `undefined`: it is gone. */
  read(range?: ByteRange): AsyncIterable<Bytes> | undefined | Promise<AsyncIterable<Bytes> | undefined>;
}

/** The answer to a GET or HEAD. Throws an `HttpError` of status 416 for a range that has nothing in it. */
export async function rangedResponse(c: Context, file: RangedFile): Promise<Response> {
  const { etag, size, what } = file;
  const headers: Record<string, string> = {
    ...file.headers,
    "cache-control": FOR_EVER,
    "accept-ranges": "bytes",
    etag,
  };
  if (isKnown(c, etag)) return new Response(null, { status: 304, headers });
  const ifRange = c.req.header("if-range");
  const range = ifRange === undefined || ifRange === etag
    ? parseRange(c.req.header("range"), size)
    : undefined;
  if (range === "unsatisfiable") {
    throw new HttpError(416, `Cannot serve that range: ${what} has ${size} bytes`, {
      "content-range": `bytes */${size}`,
      "accept-ranges": "bytes",
    });
  }
  headers["content-length"] = String(range ? range.end - range.start : size);
  if (range) headers["content-range"] = `bytes ${range.start}-${range.end - 1}/${size}`;
  const status = range ? 206 : 200;
  if (c.req.method === "HEAD") return new Response(null, { status, headers });
  const bytes = await file.read(range);
  return bytes ? new Response(toReadable(bytes), { status, headers }) : notFound();
}

/** Whether the client says that it has what this ETag stands for. */
export function isKnown(c: Context, etag: string): boolean {
  const known = c.req.header("if-none-match")?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return known?.some((tag) => tag === etag || tag === "*") ?? false;
}
