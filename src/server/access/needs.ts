/**
 * Which right a request needs, by its method and path. What is not known here needs the right to write, unless it only asks
 * (GET, HEAD).
 *
 *   nothing   OPTIONS; what a client reads before it knows of tokens: the page, `/firn.json`; health; reflection
 *   read      GET and HEAD of the rest; POST of what reads many at once; calls that read
 *   write     PUT and POST that store; calls named Put, and CalculateNAR, which records what it worked out
 *   admin     revoking tokens
 *   figures   `/metrics`: any right to read or to administer, and whoever is on this machine
 *
 * `/nix-cache-info` needs the right to read, though it tells nothing: Nix takes a narinfo it may not have for one that is not there, and
 * goes on without a word; refused that first file, it says what is wrong.
 */
import type { Right } from "../door.ts";
import { isCallPath } from "../grpc/paths.ts";

export type Need = "nothing" | Right | "figures";

/** Whether a POST to a path only reads; see `bulk.ts`. */
export function isBulkRead(path: string): boolean {
  return /^\/(?:blob\/(?:missing|read|chunks)|directory\/read)$/.test(path);
}

/** Paths that everybody may read. */
const OPEN_PATHS = new Set(["/", "/firn.json", "/healthz", "/readyz"]);

/** What a request of HTTP needs. `isPage` says which paths are files of the page. */
export function needOf(method: string, path: string, isPage: (path: string) => boolean): Need {
  if (method === "OPTIONS" || isCallPath(path)) return "nothing"; // calls are asked where they are answered
  if (/^\/token(?:\/|$)/.test(path)) return "admin";
  if (method === "GET" || method === "HEAD") {
    if (path === "/metrics") return "figures";
    return OPEN_PATHS.has(path) || isPage(path) ? "nothing" : "read";
  }
  return method === "POST" && isBulkRead(path) ? "read" : "write";
}

const OPEN_SERVICE = /^\/grpc\.(?:health|reflection)\./;
const READING =
  /^\/(?:snix|tvix)\.(?:castore|store)\.v1\.(?:BlobService\/(?:Stat|Read)|DirectoryService\/Get|PathInfoService\/(?:Get|List))$/;

/** What a remote call needs, by its path. */
export function needOfCall(path: string): Need {
  if (OPEN_SERVICE.test(path)) return "nothing";
  return READING.test(path) ? "read" : "write";
}
