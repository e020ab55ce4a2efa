/**
 * What kind of thing a request asks for: a word of a short list, whatever its path, for figures are kept of each.
 */
import { isContentPath } from "../content.ts";
import { isCallPath } from "../grpc/paths.ts";

const CALL = /^\/(?:snix|tvix|grpc)\.(?:[a-z0-9]+\.)+([A-Z][A-Za-z]+)\/([A-Z][A-Za-z]+)$/;

/** Methods of calls, by their services. */
const METHODS: Record<string, readonly string[]> = {
  BlobService: ["Stat", "Read", "Put"],
  DirectoryService: ["Get", "Put"],
  PathInfoService: ["Get", "Put", "CalculateNAR", "List"],
  Health: ["Check", "List", "Watch"],
  ServerReflection: ["ServerReflectionInfo"],
};

/** The kind of what is asked for, as `narinfo`, or `BlobService.Put` for a call. */
export function routeKind(path: string): string {
  if (path.endsWith(".narinfo")) return "narinfo";
  if (path.startsWith("/nar/")) return "nar";
  if (isCallPath(path)) return callKind(path);
  if (isContentPath(path)) return /^\/[a-z-]+/.exec(path)![0].slice(1);
  if (path.endsWith(".ls")) return "listing";
  const [, first] = path.split("/", 2);
  switch (first) {
    case "nix-cache-info":
      return "cache-info";
    case "log":
    case "realisations":
    case "debuginfo":
    case "metrics":
    case "token":
      return first;
    case "nix":
      return "site";
    default:
      return "other";
  }
}

function callKind(path: string): string {
  const [, service, method] = CALL.exec(path) ?? [];
  return service !== undefined && Object.hasOwn(METHODS, service) && METHODS[service].includes(method)
    ? `${service}.${method}`
    : "unknown-call";
}
