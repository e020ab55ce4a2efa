/**
 * The Nix HTTP binary cache: cache info, narinfos and NARs.
 *
 * Of a NAR the store keeps the contents, not the file. A narinfo is therefore served with a URL that carries the root node,
 * and the NAR is put together from there (`nar_responses.ts`): pressed, as frames of zstd that are stored, where the server is to
 * say so and the NAR is pressed, or soon will be, and that is shorter; else as it is.
 */
import type { Context, Hono } from "hono";
import { type Bytes, fromText, toText } from "../bytes/bytes.ts";
import { FormatError } from "../errors.ts";
import { formatCacheInfo, MAX_CACHE_INFO_LENGTH, parseCacheInfo } from "../nix/cache_info.ts";
import { fingerprint } from "../nix/fingerprint.ts";
import { formatNarInfo, MAX_NAR_INFO_LENGTH, parseNarInfo } from "../nix/nar_info.ts";
import { sign } from "../nix/signature.ts";
import { formatStorePath, isHashPart, STORE_DIR } from "../nix/store_path.ts";
import { formatNarUrl } from "../store/nar_url.ts";
import { mergeSignatures, type PathInfo, toNarInfo } from "../store/path_info.ts";
import { publish } from "../store/publish.ts";
import { parseNarFileName, receiveNar } from "../store/receive_nar.ts";
import { checkWrites, pathInfosFor } from "./access/reach.ts";
import { bodyStream, readBody } from "./bodies.ts";
import { decodedBody } from "./content_encoding.ts";
import type { ServerContext } from "./context.ts";
import { HttpError } from "./http_error.ts";
import { NAR_INFO_TYPE, type RenderedNarInfo } from "./kept_nar_infos.ts";
import { NarResponses } from "./nar_responses.ts";
import { notFound } from "./not_found.ts";
import { callerOf, noted } from "./visitors.ts";

/** Adds the routes of the binary cache. */
export function nixCacheRoutes(app: Hono, context: ServerContext): void {
  const nars = new NarResponses(context);

  app.get("/nix-cache-info", () => text(cacheInfo(context), "text/x-nix-cache-info"));
  app.put("/nix-cache-info", async (c) => {
    const body = await readBody(c.req.raw, MAX_CACHE_INFO_LENGTH, "cache info", context.stallMs);
    const { storeDir } = parseCacheInfo(utf8(body, "cache info"));
    if (storeDir !== undefined && storeDir !== STORE_DIR) {
      throw new HttpError(409, `Cannot change StoreDir: this cache is for ${STORE_DIR}`);
    }
    return new Response(null, { status: 200 });
  });

  app.get("/:file{[0-9a-z]{32}\\.narinfo}", async (c) => {
    const hashPart = c.req.param("file").slice(0, 32);
    const render = async () => {
      const info = await findPath(c, hashPart, context);
      // Who only asks whether it is there is not kept waiting.
      return info && await renderNarInfo(info, context, c.req.method !== "HEAD");
    };
    // What is kept is for all, so who may not see all goes without.
    const narInfos = callerOf(c).reads ? undefined : context.narInfos;
    const body = narInfos
      ? narInfos.get(hashPart) ?? await narInfos.render(hashPart, render)
      : (await render())?.text;
    return body ? bytesResponse(body, NAR_INFO_TYPE) : notFound();
  });
  app.put("/:file{[0-9a-z]{32}\\.narinfo}", (c) => putNarInfo(c, c.req.param("file").slice(0, 32), context));
  app.get("/:file{[0-9a-z]{32}\\.ls}", async (c) => {
    const info = await findPath(c, c.req.param("file").slice(0, 32), context);
    return info ? await nars.listing(info) : notFound();
  });

  app.get("/nar/:era{(?:snix|tvix)-castore}/:node", (c) => nars.byNode(c));
  app.get("/nar/:file", (c) => nars.byFile(c, c.req.param("file")));
  app.put("/nar/:file", (c) => putNar(c, c.req.param("file"), context));
}

async function findPath(
  c: Context,
  hashPart: string,
  { pathInfos }: ServerContext,
): Promise<PathInfo | undefined> {
  return isHashPart(hashPart) ? await pathInfosFor(callerOf(c), pathInfos).get(hashPart) : undefined;
}

function cacheInfo({ priority, wantMassQuery }: ServerContext): string {
  return formatCacheInfo({ storeDir: STORE_DIR, wantMassQuery, priority });
}

/** @param patient whether to wait for the NAR to be pressed, if that is soon */
async function renderNarInfo(
  info: PathInfo,
  context: ServerContext,
  patient: boolean,
): Promise<RenderedNarInfo> {
  const { secretKeys, pressed, narCompression, owners } = context;
  const { narSha256, narSize, node } = info;
  const own = await Promise.all(
    secretKeys.map((key) => sign(key, fingerprint({ ...info, narHash: narSha256 }))),
  );
  const signed = { ...info, signatures: mergeSignatures(info.signatures, own) };
  owners.remember(info);
  const presses = pressed && narCompression === "zstd";
  const nar = presses ? await (patient ? pressed.soon(info) : pressed.find(node)) : undefined;
  const file = nar && nar.fileSize < narSize
    ? { compression: "zstd", fileSize: nar.fileSize, sha256: nar.sha256 } as const
    : { compression: "none", fileSize: narSize, sha256: narSha256 } as const;
  const text = formatNarInfo(toNarInfo(signed, {
    url: formatNarUrl(node, narSize, file.compression),
    compression: file.compression,
    fileSize: file.fileSize,
    fileHash: { algorithm: "sha256", digest: file.sha256 },
  }));
  return { text: fromText(text), isFinal: !presses || nar !== undefined };
}

async function putNarInfo(c: Context, hashPart: string, context: ServerContext): Promise<Response> {
  if (!isHashPart(hashPart)) {
    throw new HttpError(400, `Cannot accept ${hashPart}.narinfo: the name is no hash part`);
  }
  const body = await decodedBody(c.req.raw, MAX_NAR_INFO_LENGTH, "narinfo", context);
  const narInfo = parseNarInfo(utf8(body, "narinfo"));
  checkWrites(callerOf(c), narInfo.storePath.name);
  const info = await publish(hashPart, narInfo, context);
  const unclaimed = info.unclaimedReferences.length;
  context.watch?.stored?.("path", info.narSize);
  noted(
    c.req.raw,
    context,
    `published ${formatStorePath(info.storePath)} (${info.narSize} bytes)` +
      (unclaimed
        ? `; its contents mention ${unclaimed} paths that References does not list: ${
          info.unclaimedReferences.slice(0, 5).join(" ")
        }`
        : ""),
  );
  return new Response(null, { status: 200 });
}

async function putNar(c: Context, fileName: string, context: ServerContext): Promise<Response> {
  const name = parseNarFileName(fileName);
  if (!name) {
    throw new HttpError(400, `Cannot take ${fileName}: want nar/<FileHash in nixbase32>.nar[.suffix]`);
  }
  const started = performance.now();
  const file = await receiveNar(name, bodyStream(c.req.raw, context.stallMs), context);
  context.watch?.stored?.("nar", file.fileSize);
  noted(
    c.req.raw,
    context,
    `received ${fileName} (${file.fileSize} bytes, ${file.compression}) in ${
      Math.round(performance.now() - started)
    } ms`,
  );
  return new Response(null, { status: 200 });
}

function utf8(bytes: Bytes, what: string): string {
  try {
    return toText(bytes);
  } catch (cause) {
    throw new FormatError(what, `Cannot read the ${what}: it is not UTF-8 text`, { cause });
  }
}

/** A text whose length is known. */
export function text(body: string, type: string): Response {
  return bytesResponse(fromText(body), type);
}

function bytesResponse(bytes: Bytes, type: string): Response {
  return new Response(bytes, { headers: { "content-type": type, "content-length": String(bytes.length) } });
}
