/**
 * What is in store paths, as a web site: `/nix/store/<base name>/…` with types, ranges, listings of folders, and symlinks followed
 * inside the store. Used by the server, and by the service worker of a page for what is kept in the tab.
 *
 * What a package contains must never act on the page that shares its origin, nor on its store. So there are two ways to serve:
 *
 *   still    scripts off. On an origin with a page. A policy sandboxes each document without scripts, forms and plugins, and lets it
 *            load only images, styles and fonts of this origin. Scripts come as plain text, so that no document could load one.
 *            `allow-same-origin` is given, for a service worker answers only documents that have an origin; what cannot run
 *            scripts has no use of it.
 *   scripts  scripts on. On an origin of its own, where there is nothing else.
 *
 * No response registers as a service worker: `Service-Worker: script` is refused.
 */
import { type Bytes, fromText } from "../bytes/bytes.ts";
import { toReadable } from "../bytes/streams.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import type { DirectoryItem } from "../castore/directory.ts";
import type { FileNode, Node } from "../castore/node.ts";
import { nameFault } from "../bytes/names.ts";
import { toHex } from "../bytes/hex.ts";
import { parseRange } from "./ranges.ts";
import { typeOf } from "./media_of_name.ts";

export type Liveliness = "still" | "scripts";

/** Something found at a path. */
export interface FoundNode {
  readonly node: Node;
  /** Items of a folder, by name. */
  readonly items?: () => Promise<Iterable<DirectoryItem>>;
  /** Bytes of a file. */
  readonly read: (file: FileNode, range: ByteRange) => AsyncIterable<Bytes>;
}

export interface StorePagesOptions {
  readonly liveliness: Liveliness;
  /** What is at names below a store path, symlinks followed; `undefined`: nothing. */
  readonly find: (base: string, names: readonly Bytes[]) => Promise<FoundNode | undefined>;
  /** Told of what breaks in the middle of a body. */
  readonly log?: (line: string) => void;
}

const POLICIES: Record<Liveliness, string> = {
  still:
    "sandbox allow-same-origin; default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
    "font-src 'self' data:; media-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
  scripts:
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; base-uri 'self'; form-action 'self'; object-src 'none'",
};
/** Entries of a folder in one listing. */
const LISTED = 2000;
/** Bytes that tell whether a file without a known ending is text. */
const SNIFFED = 1024;

/** Whether a path is one of those here; `prefix` is what comes before `nix/store/`, and begins and ends with a slash. */
export function isStorePage(pathname: string, prefix = "/"): boolean {
  return pathname.startsWith(`${prefix}nix/store/`);
}

/** Answers a GET or HEAD of a path below `<prefix>nix/store/`; `undefined` if nothing is there. */
export async function storePage(
  request: Request,
  options: StorePagesOptions,
  prefix = "/",
): Promise<Response | undefined> {
  const headers = new Headers({
    "content-security-policy": POLICIES[options.liveliness],
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    ...(options.liveliness === "still" && { "cross-origin-embedder-policy": "require-corp" }),
  });
  if (request.headers.get("service-worker") === "script") {
    return new Response("Cannot use what a package contains as a service worker\n", { status: 403, headers });
  }
  const url = new URL(request.url);
  const [base, ...names] = namesOf(url.pathname.slice(`${prefix}nix/store/`.length)) ?? [];
  if (!base) return undefined;
  const isFolderUrl = names.at(-1)?.length === 0;
  if (isFolderUrl) names.pop();
  if (names.some((name) => nameFault(name))) return undefined;
  const found = await options.find(String.fromCharCode(...base), names);
  if (!found) return undefined;
  if (found.node.type === "file") {
    if (isFolderUrl) return undefined;
    return await fileResponse(request, found.node, names.at(-1) ?? base, found, headers, options);
  }
  if (!found.items) return undefined;
  // Relative links in a folder's page need the slash.
  if (!isFolderUrl) return redirect(`${url.pathname}/${url.search}`, headers);
  const index = await options.find(String.fromCharCode(...base), [...names, fromText("index.html")]);
  if (index?.node.type === "file") {
    return await fileResponse(request, index.node, fromText("index.html"), index, headers, options);
  }
  return listing(request, url, await found.items(), headers);
}

/** The names in a path of a URL as bytes; `undefined` where it is not one. */
function namesOf(path: string): Bytes[] | undefined {
  const names: Bytes[] = [];
  for (const part of path.split("/")) {
    const bytes: number[] = [];
    for (let at = 0; at < part.length; at++) {
      if (part[at] !== "%") bytes.push(...fromText(part[at]));
      else {
        const byte = /^[0-9a-fA-F]{2}$/.test(part.slice(at + 1, at + 3))
          ? parseInt(part.slice(at + 1, at + 3), 16)
          : NaN;
        if (Number.isNaN(byte)) return undefined;
        bytes.push(byte);
        at += 2;
      }
    }
    names.push(Uint8Array.from(bytes));
  }
  return names;
}

function redirect(to: string, headers: Headers): Response {
  headers.set("location", to);
  headers.set("cache-control", "no-cache");
  return new Response(null, { status: 302, headers });
}

async function fileResponse(
  request: Request,
  file: FileNode,
  name: Bytes,
  found: FoundNode,
  headers: Headers,
  { liveliness, log }: StorePagesOptions,
): Promise<Response> {
  const etag = `"${toHex(file.digest)}"`;
  headers.set("etag", etag);
  headers.set("accept-ranges", "bytes");
  headers.set("cache-control", "no-cache"); // a path may be deleted, and its policy may change
  const known = request.headers.get("if-none-match")?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (known?.some((tag) => tag === etag || tag === "*")) return new Response(null, { status: 304, headers });
  headers.set("content-type", await contentType(file, name, found, liveliness));
  const ifRange = request.headers.get("if-range");
  const asked = ifRange === null || ifRange === etag ? request.headers.get("range") : undefined;
  const range = parseRange(asked, file.size);
  if (range === "unsatisfiable") {
    headers.set("content-range", `bytes */${file.size}`);
    headers.delete("content-type");
    return new Response(null, { status: 416, headers });
  }
  const part = range ?? { start: 0, end: file.size };
  if (range) headers.set("content-range", `bytes ${range.start}-${range.end - 1}/${file.size}`);
  headers.set("content-length", String(part.end - part.start));
  const body = request.method === "HEAD" ? null : toReadable(logged(found.read(file, part), log));
  return new Response(body, { status: range ? 206 : 200, headers });
}

async function* logged(
  bytes: AsyncIterable<Bytes>,
  log: ((line: string) => void) | undefined,
): AsyncGenerator<Bytes, void, void> {
  try {
    yield* bytes;
  } catch (error) {
    log?.(`failed in the middle of a file: ${(error as Error).message}`);
    throw error;
  }
}

async function contentType(
  file: FileNode,
  name: Bytes,
  found: FoundNode,
  liveliness: Liveliness,
): Promise<string> {
  const type = typeOf(new TextDecoder().decode(name));
  if (type === undefined) {
    return await isText(file, found) ? "text/plain; charset=utf-8" : "application/octet-stream";
  }
  if (liveliness === "scripts") return type;
  if (type.startsWith("text/javascript")) return "text/plain; charset=utf-8";
  return type === "application/wasm" ? "application/octet-stream" : type;
}

/** Whether what a file begins with is text. */
async function isText(file: FileNode, found: FoundNode): Promise<boolean> {
  const end = Math.min(file.size, SNIFFED);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const piece of found.read(file, { start: 0, end })) {
      if (piece.includes(0)) return false;
      decoder.decode(piece, { stream: true }); // a character that is cut off at the end is fine
    }
    return true;
  } catch {
    return false;
  }
}

/** A folder without an `index.html`. */
function listing(request: Request, url: URL, items: Iterable<DirectoryItem>, headers: Headers): Response {
  const from = Number(/^\d{1,9}$/.exec(url.searchParams.get("from") ?? "")?.[0] ?? 0);
  const rows: string[] = [];
  let count = 0;
  for (const { name, node } of items) {
    if (count >= from && rows.length < LISTED) rows.push(row(name, node));
    count++;
  }
  const more = from + LISTED < count ? `<p><a href="?from=${from + LISTED}">more</a></p>` : "";
  const title = escapeHtml(decodeURIComponentSafely(url.pathname));
  const body = fromText(`<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>
:root { color-scheme: light dark } body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; overflow-wrap: anywhere }
td { padding-right: 2rem } td:last-child { text-align: right; font-variant-numeric: tabular-nums }
</style>
<h1>${title}</h1>
<table><tr><td><a href="../">../</a><td>
${rows.join("\n")}
</table>
${more}
`);
  headers.set("content-type", "text/html; charset=utf-8");
  headers.set("content-length", String(body.length));
  headers.set("cache-control", "no-cache");
  return new Response(request.method === "HEAD" ? null : body, { headers });
}

function row(name: Bytes, node: Node): string {
  const slash = node.type === "directory" ? "/" : "";
  const text = escapeHtml(new TextDecoder().decode(name)) + slash;
  const size = node.type === "file" ? String(node.size) : node.type === "symlink" ? "link" : "";
  return `<tr><td><a href="./${encodeName(name)}${slash}">${text}</a><td>${size}`;
}

/** Every byte that could mean something in a URL or in HTML as `%xx`. */
function encodeName(name: Bytes): string {
  let encoded = "";
  for (const byte of name) {
    const character = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9._~-]/.test(character) ? character : "%" + byte.toString(16).padStart(2, "0");
  }
  return encoded;
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function escapeHtml(text: string): string {
  const safe = text.replace(/[\p{Cc}\p{Cf}]/gu, "\ufffd");
  return safe.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
