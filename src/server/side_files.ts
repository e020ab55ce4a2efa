/**
 * What a binary cache keeps beside NARs and narinfos: build logs, realisations of content-addressed derivations, the index of
 * debug information. Kept as they were sent, with their Content-Encoding, as blobs under a name.
 *
 * Listings (`<hash part>.ls`) are taken and not kept: they are worked out from what is stored, which is always right.
 */
import type { Context, Hono } from "hono";
import { type Bytes, toText } from "../bytes/bytes.ts";
import { toReadable } from "../bytes/streams.ts";
import { FormatError } from "../errors.ts";
import { writeRecord } from "../store/collections.ts";
import { checkContents, confirmRecord } from "../store/confirm.ts";
import type { CompressionName } from "../store/codec.ts";
import { decodeSideFile, encodeSideFile, type SideFile } from "../store/messages.ts";
import { namesOfSideFile, reachesSideFile } from "./access/reach.ts";
import { forbidden } from "./access/refusals.ts";
import { readAtMost, readBody } from "./bodies.ts";
import { contentEncoding } from "./content_encoding.ts";
import type { ServerContext } from "./context.ts";
import type { Caller } from "./door.ts";
import { notFound } from "./not_found.ts";
import { callerOf } from "./visitors.ts";

/** Longest log, in bytes. */
const MAX_LOG = 64 * 1024 * 1024;
/** Longest JSON file, in bytes. */
const MAX_JSON = 8 * 1024 * 1024;

/** Paths of side files; each is the key of its record too. */
const LOG = "/:dir{log}/:name{[0-9a-zA-Z+\\-._?=]{1,255}}";
const JSON_FILES = [
  "/:dir{realisations}/:name{[0-9a-zA-Z+\\-._?=:!]{1,400}}",
  "/:dir{build-trace-v2}/:drv{[0-9a-zA-Z+\\-._?=]{1,248}}/:name{[0-9a-zA-Z+\\-._?=]{1,240}}",
  "/:dir{debuginfo}/:name{[0-9a-f]{4,64}(?:\\.debug)?}",
];

/** Adds the routes of side files. */
export function sideFileRoutes(app: Hono, context: ServerContext): void {
  app.get(LOG, (c) => get(c, context));
  app.put(LOG, (c) => put(c, context, MAX_LOG, false));
  for (const path of JSON_FILES) {
    app.get(path, (c) => get(c, context));
    app.put(path, (c) => put(c, context, MAX_JSON, true));
  }
  app.put("/:file{[0-9a-z]{32}\\.ls}", async (c) => {
    await readBody(c.req.raw, MAX_LOG, "listing", context.stallMs);
    return new Response(null, { status: 200 });
  });
}

function keyOf(c: Context): string {
  const { dir, drv, name } = c.req.param();
  return [dir, drv, name].filter((part) => part !== undefined).join("/");
}

async function get(c: Context, context: ServerContext): Promise<Response> {
  const { names, blobs } = context;
  const value = await names.get(keyOf(c));
  if (!value) return notFound();
  const file = decodeSideFile(value);
  const { reads } = callerOf(c);
  if (reads && !reachesSideFile(reads, await namesIn(keyOf(c), file, context))) return notFound();
  const headers = {
    "content-type": file.contentType,
    "x-content-type-options": "nosniff",
    "content-length": String(file.size),
    ...(file.contentEncoding && { "content-encoding": file.contentEncoding }),
  };
  if (c.req.method === "HEAD") return new Response(null, { headers });
  const blob = await blobs.open(file.digest);
  return blob ? new Response(toReadable(blob), { headers }) : notFound();
}

/** Names of paths that a stored side file is about. */
async function namesIn(key: string, file: SideFile, { blobs, codec }: ServerContext): Promise<string[]> {
  if (file.contentType !== "application/json") return namesOfSideFile(key);
  const blob = await blobs.open(file.digest);
  if (!blob) return [];
  const encoding = (file.contentEncoding ?? "none") as CompressionName;
  return namesOfSideFile(key, readJson(await readAtMost(codec.decompress(encoding, blob), MAX_JSON, "file")));
}

async function put(c: Context, context: ServerContext, limit: number, json: boolean): Promise<Response> {
  const encoding = contentEncoding(c.req.raw);
  const caller = callerOf(c);
  if (!json) checkReach(caller, keyOf(c)); // before a long log has come
  const body = await readBody(c.req.raw, limit, "file", context.stallMs);
  if (json) {
    const decoded = await readAtMost(context.codec.decompress(encoding, [body]), limit, "file, decoded");
    checkReach(caller, keyOf(c), readJson(decoded));
  }
  // Whatever the client calls it: what a log is served as must not be for its author to say.
  const contentType = json ? "application/json" : "text/plain; charset=utf-8";
  const key = keyOf(c);
  const { names, blobs } = context;
  await writeRecord(names, async () => {
    const { digest, size } = await blobs.put(body);
    const file = { digest, size, contentType, ...(encoding !== "none" && { contentEncoding: encoding }) };
    await names.put(key, encodeSideFile(file));
    return file;
  }, async (file) => {
    const node = { type: "file", ...file, executable: false } as const;
    await confirmRecord(key, () => checkContents(node, context), () => names.delete(key));
  });
  return new Response(null, { status: 200 });
}

/** Throws an `HttpError` of status 403 unless the caller may write this. */
function checkReach(caller: Caller, key: string, json?: unknown): void {
  if (reachesSideFile(caller.writes, namesOfSideFile(key, json))) return;
  throw forbidden(`Cannot write ${key}: ${caller.name} is for paths of other names`, "write");
}

function readJson(bytes: Bytes): unknown {
  try {
    const value = JSON.parse(toText(bytes));
    if (typeof value === "object" && value !== null) return value;
  } catch { /* said below */ }
  throw new FormatError("json", "Cannot take the file: it is not a JSON object");
}
