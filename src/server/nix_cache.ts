/**
 * The Nix HTTP binary cache: cache info, narinfos and NARs.
 *
 * Of a NAR the store keeps the contents, not the file. A narinfo is therefore served with a URL that carries the root node,
 * and the NAR is rendered from there. The name of a file that was uploaded is answered too: a client that uploaded it will not
 * send it again (HEAD), and may come back for it under that name, because it remembers its own narinfo (GET).
 */
import type { Context, Hono } from "hono";
import { type Bytes, fromText, toText } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { toReadable } from "../bytes/streams.ts";
import { encodeEntry } from "../castore/messages.ts";
import { formatDigest } from "../castore/digest.ts";
import type { FileNode, Node } from "../castore/node.ts";
import { FormatError, MissingError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import { formatCacheInfo, MAX_CACHE_INFO_LENGTH, parseCacheInfo } from "../nix/cache_info.ts";
import { fingerprint } from "../nix/fingerprint.ts";
import { formatNarInfo, MAX_NAR_INFO_LENGTH, parseNarInfo } from "../nix/nar_info.ts";
import { sign } from "../nix/signature.ts";
import { formatStorePath, isHashPart, STORE_DIR } from "../nix/store_path.ts";
import type { CompressionName } from "../store/codec.ts";
import { type NarLayout, narLayout } from "../store/nar_layout.ts";
import { formatNarUrl, parseNarUrl } from "../store/nar_url.ts";
import { mergeSignatures, type PathInfo, toNarInfo } from "../store/path_info.ts";
import { publish } from "../store/publish.ts";
import { parseNarFileName, receivedFile, receivedNar, receiveNar } from "../store/receive_nar.ts";
import { renderNar } from "../store/render_nar.ts";
import { Lru } from "../bytes/lru.ts";
import { checkWrites, pathInfosFor } from "./access/reach.ts";
import { bodyStream, readBody } from "./bodies.ts";
import { decodedBody } from "./content_encoding.ts";
import type { ServerContext } from "./context.ts";
import { HttpError } from "./http_error.ts";
import { NAR_INFO_TYPE } from "./kept_nar_infos.ts";
import { parseRange } from "./ranges.ts";
import { callerOf } from "./visitors.ts";

/** Layouts of NARs kept for the next request, in bytes of memory. */
const LAYOUTS_KEPT = 64 * 1024 * 1024;
const NAR_TYPE = "application/x-nix-nar";
const FOR_EVER = "public, max-age=31536000, immutable";
/** Not the bytes that were uploaded, so not for ever, and no promise of ranges. */
const RECOMPRESSED = { "content-type": NAR_TYPE, "cache-control": "no-cache" };

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
      return info && fromText(await narInfoText(info, context));
    };
    // What is kept is for all, so who may not see all goes without.
    const narInfos = callerOf(c).reads ? undefined : context.narInfos;
    const body = narInfos
      ? narInfos.get(hashPart) ?? await narInfos.render(hashPart, render)
      : await render();
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

async function narInfoText(info: PathInfo, { secretKeys }: ServerContext): Promise<string> {
  const { narSha256, narSize } = info;
  const own = await Promise.all(
    secretKeys.map((key) => sign(key, fingerprint({ ...info, narHash: narSha256 }))),
  );
  return formatNarInfo(toNarInfo({ ...info, signatures: mergeSignatures(info.signatures, own) }, {
    url: formatNarUrl(info.node, narSize),
    compression: "none",
    fileSize: narSize,
    fileHash: { algorithm: "sha256", digest: narSha256 },
  }));
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
  context.log(
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
  context.log(
    `received ${fileName} (${file.fileSize} bytes, ${file.compression}) in ${
      Math.round(performance.now() - started)
    } ms`,
  );
  return new Response(null, { status: 200 });
}

/** Answers requests for NARs. */
class NarResponses {
  #context: ServerContext;
  #layouts = new Lru<string, Promise<NarLayout>>(LAYOUTS_KEPT);

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** A NAR by its root node. */
  async byNode(c: Context): Promise<Response> {
    const { era, node: encoded } = c.req.param();
    const { node, narSize } = parseNarUrl(`nar/${era}/${encoded}${new URL(c.req.url).search}`)!;
    const layout = await this.#layout(node);
    if (!layout) return notFound();
    if (narSize !== undefined && narSize !== layout.size) {
      throw new HttpError(
        400,
        `Cannot serve the NAR: narsize is ${narSize}, and it has ${layout.size} bytes`,
      );
    }
    return this.#plain(c, node, layout);
  }

  /** A file that was uploaded: the NAR itself where it was not compressed, else the NAR in the same compression again. */
  async byFile(c: Context, fileName: string): Promise<Response> {
    const name = parseNarFileName(fileName);
    const file = name && await receivedFile(this.#context.names, name.text);
    const nar = file && await receivedNar(this.#context.names, file.narSha256);
    if (!nar) return notFound();
    const compression = file!.compression as CompressionName;
    if (c.req.method === "HEAD" && compression !== "none") {
      return new Response(null, { headers: RECOMPRESSED });
    }
    const layout = await this.#layout(nar.root);
    if (!layout) return notFound();
    if (compression === "none") return this.#plain(c, nar.root, layout);
    if (!this.#context.codec.compresses.has(compression)) {
      throw new HttpError(
        404,
        `The contents of ${fileName} are here, but not in ${compression}: ask for the narinfo again (--refresh)`,
      );
    }
    const bytes = this.#context.codec.compress(compression, this.#render(layout));
    return new Response(toReadable(bytes), { headers: RECOMPRESSED });
  }

  /** The listing of a path, worked out from what is stored: once for its length and what cannot be listed, once for the client. */
  async listing(info: PathInfo): Promise<Response> {
    const layout = await this.#layout(info.node);
    if (!layout) return notFound();
    let length = 0;
    for (const piece of layout.listing()) length += fromText(piece).length;
    const headers = { "content-type": "application/json", "content-length": String(length) };
    return new Response(toReadable(joined(layout.listing())), { headers });
  }

  #plain(c: Context, node: Node, layout: NarLayout): Response {
    const etag = `"${toHex(blake3(encodeEntry(node)).subarray(0, 16))}"`;
    const headers: Record<string, string> = {
      "content-type": NAR_TYPE,
      "cache-control": FOR_EVER,
      "accept-ranges": "bytes",
      etag,
    };
    const known = c.req.header("if-none-match")?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
    if (known?.some((tag) => tag === etag || tag === "*")) {
      return new Response(null, { status: 304, headers });
    }
    const ifRange = c.req.header("if-range");
    const range = ifRange === undefined || ifRange === etag
      ? parseRange(c.req.header("range"), layout.size)
      : undefined;
    if (range === "unsatisfiable") {
      throw new HttpError(416, `Cannot serve that range: the NAR has ${layout.size} bytes`, {
        "content-range": `bytes */${layout.size}`,
        "accept-ranges": "bytes",
      });
    }
    headers["content-length"] = String(range ? range.end - range.start : layout.size);
    if (range) headers["content-range"] = `bytes ${range.start}-${range.end - 1}/${layout.size}`;
    const body = c.req.method === "HEAD" ? null : toReadable(this.#render(layout, range));
    return new Response(body, { status: range ? 206 : 200, headers });
  }

  /** A failure in the middle of a body breaks the connection, which is all that can be told the client then; the log gets the rest. */
  async *#render(
    layout: NarLayout,
    range?: { start: number; end: number },
  ): AsyncGenerator<Bytes, void, void> {
    try {
      yield* renderNar(layout, this.#context.blobs, range);
    } catch (error) {
      this.#context.log(`failed in the middle of a NAR: ${(error as Error).message}`);
      throw error;
    }
  }

  async #layout(node: Node): Promise<NarLayout | undefined> {
    const key = toHex(encodeEntry(node));
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#open(node);
      this.#layouts.set(key, layout, 1000);
      layout.then((known) => this.#layouts.set(key, layout!, known.weight), () => this.#layouts.delete(key));
    }
    try {
      return await layout;
    } catch (error) {
      if (error instanceof MissingError) return undefined;
      throw error;
    }
  }

  async #open(node: Node): Promise<NarLayout> {
    if (node.type === "file") await this.#checkFile(node);
    return await narLayout(node, this.#context.directories);
  }

  /** Of a file that stands alone only its URL tells the size, so that is held against the blob before it is promised. */
  async #checkFile(node: FileNode): Promise<void> {
    const chunks = await this.#context.blobs.chunks(node.digest);
    const size = chunks?.reduce((sum, chunk) => sum + chunk.size, 0);
    if (size !== node.size) throw new MissingError("file", formatDigest(node.digest));
  }
}

/** Texts as bytes, in pieces large enough for a socket. */
async function* joined(texts: Iterable<string>): AsyncGenerator<Bytes, void, void> {
  let piece = "";
  for (const text of texts) {
    piece += text;
    if (piece.length < 65_536) continue;
    yield fromText(piece);
    piece = "";
  }
  yield fromText(piece);
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

/** Nothing here under this name. */
export function notFound(): Response {
  return new Response("404 Not Found\n", {
    status: 404,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}
