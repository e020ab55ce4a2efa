/**
 * The page of a store in a tab: files that were built before, with the headers that keep what a package contains from
 * acting on it, and what a page asks a server about it.
 */
import type { Context, Hono } from "hono";
import type { Bytes } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { blake3 } from "../hash/blake3.ts";
import { formatPublicKey } from "../nix/signature.ts";
import { STORE_DIR } from "../nix/store_path.ts";
import type { ServerContext } from "./context.ts";

/** The encodings a file is served in, the best first. */
export const PAGE_ENCODINGS = ["br", "gzip"] as const;
export type PageEncoding = typeof PAGE_ENCODINGS[number];

/** A built page, as the platform keeps it. */
export interface PageFiles {
  /**
   * Paths below the root, `index.html`, `assets/…`, and the bytes, or what reads them when they are wanted. What is in `assets/` has a
   * hash of its contents in its name.
   */
  readonly files: ReadonlyMap<string, Bytes | (() => Promise<Bytes>)>;
  /** Compresses a file; called once for each and encoding. Without it all are sent as they are. */
  readonly compress?: (encoding: PageEncoding, bytes: Bytes) => Promise<Bytes>;
}

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  png: "image/png",
  wasm: "application/wasm",
  webmanifest: "application/manifest+json",
};
/** Not worth compressing: they are. */
const PACKED = new Set(["png"]);

/**
 * Scripts are the page's own files, and what it shows of packages is data. It may fetch from every cache, and is framed by nobody.
 * Isolated from other origins, it may share memory with its workers.
 */
const GUARDS: Record<string, string> = {
  "content-security-policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src * data: blob:; " +
    "img-src 'self' blob: data:; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; " +
    "frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};

/** Adds the routes of the page: its files, and `/` for `index.html`. */
export function pageRoutes(app: Hono, page: PageFiles): void {
  for (const [path, bytes] of page.files) {
    const file = new PageFile(path, bytes, page.compress);
    app.get(path === "index.html" ? "/" : `/${path}`, (c) => file.respond(c));
  }
}

/** What a page asks a server about it: that it is a firn, and how Nix is pointed at it. */
export function facts(context: ServerContext): Record<string, unknown> {
  const { secretKeys, priority, strictReferences, contentOrigin } = context;
  return {
    contents: 1, // the version of what `/contents` answers
    contentOrigin,
    storeDir: STORE_DIR,
    priority,
    publicKeys: secretKeys.map(({ publicKey }) => formatPublicKey(publicKey)),
    strictReferences,
  };
}

/** A file as it was read. */
interface ReadFile {
  readonly bytes: Bytes;
  readonly tag: string;
}

/** One file, with what was compressed of it. */
class PageFile {
  readonly #headers: Record<string, string>;
  #read: Promise<ReadFile> | undefined;
  readonly #packed = new Map<PageEncoding, Promise<Bytes>>();

  constructor(
    path: string,
    readonly bytes: Bytes | (() => Promise<Bytes>),
    readonly compress: PageFiles["compress"],
  ) {
    const ending = path.slice(path.lastIndexOf(".") + 1);
    if (PACKED.has(ending)) this.compress = undefined;
    this.#headers = {
      ...GUARDS,
      "content-type": TYPES[ending] ?? "application/octet-stream",
      "cache-control": path.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache",
      vary: "Accept-Encoding",
    };
  }

  async respond(c: Context): Promise<Response> {
    const encoding = this.compress && choose(c.req.header("accept-encoding"));
    const { bytes, tag } = await this.#once();
    const etag = `"${tag}${encoding ? `-${encoding}` : ""}"`;
    const headers: Record<string, string> = { ...this.#headers, etag };
    const known = c.req.header("if-none-match")?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
    if (known?.some((tag) => tag === etag || tag === "*")) {
      return new Response(null, { status: 304, headers });
    }
    const body = encoding ? await this.#encoded(encoding, bytes) : bytes;
    if (encoding) headers["content-encoding"] = encoding;
    headers["content-length"] = String(body.length);
    return new Response(c.req.method === "HEAD" ? null : body, { headers });
  }

  async #once(): Promise<ReadFile> {
    this.#read ??= this.#open();
    try {
      return await this.#read;
    } catch (error) {
      this.#read = undefined; // whoever asks next may have more luck
      throw error;
    }
  }

  async #open(): Promise<ReadFile> {
    const bytes = this.bytes instanceof Uint8Array ? this.bytes : await this.bytes();
    return { bytes, tag: toHex(blake3(bytes).subarray(0, 12)) };
  }

  #encoded(encoding: PageEncoding, bytes: Bytes): Promise<Bytes> {
    let packed = this.#packed.get(encoding);
    if (!packed) this.#packed.set(encoding, packed = this.compress!(encoding, bytes));
    return packed;
  }
}

/** The best encoding a client takes, by its Accept-Encoding. */
function choose(accepted: string | undefined): PageEncoding | undefined {
  const takes = new Set<string>();
  for (const part of accepted?.split(",") ?? []) {
    const [name, ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    if (!parameters.some((text) => /^q=0(\.0*)?$/.test(text))) takes.add(name);
  }
  return PAGE_ENCODINGS.find((encoding) => takes.has(encoding));
}
