/**
 * What pages of other origins may do (CORS): read all there is, by every protocol; write only if their origin was
 * allowed, or they bring a token as `Authorization: Bearer`, which somebody gave them. Never with credentials of the browser's own.
 *
 * A server on loopback trusts who reaches its port, but every page that is open on the machine does, through its browser. Were
 * pages not held back, any of them could publish a store path, which the server might sign.
 */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { isDeliberate } from "./access/credentials.ts";
import { isBulkRead } from "./access/needs.ts";
import { isContentPath } from "./content.ts";
import type { ServerContext } from "./context.ts";
import { isCallPath } from "./grpc/paths.ts";
import { CALL_CORS } from "./grpc/web.ts";
import { errorResponse, HttpError } from "./http_error.ts";

const READ_HEADERS = ["Range", "If-None-Match", "If-Range", "Authorization"];
const EXPOSED = [
  "Content-Length",
  "Content-Range",
  "Accept-Ranges",
  "ETag",
  "WWW-Authenticate",
  "Retry-After",
];
const anyOrigin = { origin: "*", maxAge: 86_400 };

/** What opens the answer to a GET of the cache to pages of all origins. */
export const OPEN = { origin: "*", exposed: EXPOSED.join(",") };

const cache = cors({
  ...anyOrigin,
  allowMethods: ["GET", "HEAD"],
  allowHeaders: READ_HEADERS,
  exposeHeaders: EXPOSED,
});
const content = cors({
  ...anyOrigin,
  allowMethods: ["GET", "HEAD", "PUT", "POST"],
  allowHeaders: [...READ_HEADERS, "Content-Type", "Content-Encoding"],
  exposeHeaders: EXPOSED,
});
const calls = cors({ ...anyOrigin, ...CALL_CORS });

/** Answers preflights and opens answers, by what the path is of. */
export const crossOrigin: MiddlewareHandler = (c, next) => {
  const policy = isCallPath(c.req.path) ? calls : isContentPath(c.req.path) ? content : cache;
  return policy(c, next);
};

/**
 * Refuses what pages of other origins want to write. Browsers say whose page it is, also of WebSockets, which no
 * preflight asks for.
 */
export function ownPagesWrite(
  { writingOrigins, access }: Pick<ServerContext, "writingOrigins" | "access">,
): MiddlewareHandler {
  return async (c, next) => {
    const origin = c.req.header("origin");
    if (origin === undefined || !writes(c.req.method, c.req.path)) return await next();
    // The token was verified, or will be, for there every write is asked for one. Basic is not enough: browsers send it by themselves.
    if (access?.writesNeedToken && isDeliberate(c.req.raw.headers)) return await next();
    const own = hostOf(origin) === (c.req.header("host") ?? new URL(c.req.url).host);
    if (own || writingOrigins.includes("*") || writingOrigins.includes(origin)) return await next();
    const why =
      `Cannot take this from a page of ${origin}: this server lets only its own pages write; --allow-origin adds others`;
    const response = errorResponse(new HttpError(403, why));
    response.headers.set("access-control-allow-origin", "*"); // so that the page can read why
    return response;
  };
}

/** Calls are POSTs, or GETs that become WebSockets. */
function writes(method: string, path: string): boolean {
  if (method === "OPTIONS" || method === "HEAD") return false;
  if (isCallPath(path)) return path.endsWith("/Put");
  return method !== "GET" && !(method === "POST" && isBulkRead(path));
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined; // `null` is an origin, too
}
