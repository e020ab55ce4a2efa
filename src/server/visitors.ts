/**
 * The door for HTTP: requests pass it on their way to the application, which finds who asks in its environment. Remote calls
 * pass it where they are answered (`grpc/call_door.ts`), by their own metadata, so those go by here.
 */
import type { Context, MiddlewareHandler } from "hono";
import { ANYBODY, type Caller, type Door, HttpAsking, type Visit } from "./door.ts";
import { counted } from "./counted_body.ts";
import type { ServerContext } from "./context.ts";
import { isCallPath, isNativeCall } from "./grpc/paths.ts";
import { errorResponse, HttpError, statusOf } from "./http_error.ts";
import type { SlowReaders } from "./slow_readers.ts";
import { type Peer, UNKNOWN_PEER } from "./peer.ts";

/** What a request brings along to the routes. */
interface Visitor {
  readonly caller: Caller;
  readonly peer: Peer;
}

/** An application that answers a request with what it brings along. */
type Application = (request: Request, visitor: Visitor) => Response | Promise<Response>;

/** Who sent a request; in an application without a door, anybody. */
export function callerOf(c: Context): Caller {
  return (c.env as Partial<Visitor> | undefined)?.caller ?? ANYBODY;
}

/** Where a request came from. */
export function peerOf(c: Context): Peer {
  return (c.env as Partial<Visitor> | undefined)?.peer ?? UNKNOWN_PEER;
}

/** An application behind a door. `log` is told whom it does not let in; `readers` who reads nothing is left by. */
export function behind(
  door: Door,
  application: Application,
  log: (line: string) => void,
  readers: SlowReaders,
): (request: Request, peer?: Peer) => Response | Promise<Response> {
  const pass = async (asking: HttpAsking): Promise<Response> => {
    const { request } = asking;
    let visit: Visit;
    try {
      if (hasToken(request)) throw door.turnAway(asking, new HttpError(400, TOKEN_IN_URL));
      visit = await door.enter(asking);
    } catch (error) {
      const { pathname } = new URL(request.url); // as it was written: a line break in it is no line break in the log
      log(`refused ${request.method} ${pathname}: ${statusOf(error)} ${(error as Error).message}`);
      const response = errorResponse(error);
      // So that a page can read why.
      response.headers.set("access-control-allow-origin", "*");
      response.headers.set("access-control-expose-headers", "WWW-Authenticate,Retry-After");
      return response;
    }
    const visitor = { caller: visit.caller, peer: asking };
    if (!visit.matters) return await application(request, visitor);
    counting.set(request, visit);
    try {
      return counted(await application(request, visitor), visit, readers, request.method === "HEAD");
    } catch (error) {
      visit.failed(error);
      log(`failed to answer ${request.method} ${asking.path}: ${(error as Error).stack ?? error}`);
      visit.end(500, "broken");
      throw error;
    }
  };
  return (request, peer = UNKNOWN_PEER) => {
    if (door.isOpen) return application(request, { caller: ANYBODY, peer });
    const asking = new HttpAsking(request, peer, door);
    if (isAnsweredAsCall(asking) && !hasToken(request)) {
      return application(request, { caller: ANYBODY, peer: asking });
    }
    return pass(asking);
  };
}

/** Says that caches which serve several people must not keep an answer: not all of them may have it. */
export const keptByNobodyElse: MiddlewareHandler = async (c, next) => {
  await next();
  const kept = c.res.headers.get("cache-control");
  if (kept?.includes("public")) c.res.headers.set("cache-control", kept.replace("public", "private"));
};

const TOKEN_IN_URL = "Cannot take a token in a URL, which logs and other pages see: " +
  "send it as Authorization: Bearer, or as the password in a netrc file, and make a new one";

function hasToken({ url }: Request): boolean {
  const query = url.indexOf("?");
  return query >= 0 && /[?&](?:access_|auth_)?token=/i.test(url.slice(query));
}

/** Whether what answers it is behind a door of its own. */
function isAnsweredAsCall({ method, path, header }: HttpAsking): boolean {
  if (!isCallPath(path) || (method !== "POST" && method !== "GET")) return false;
  return !isNativeCall(header.get("content-type") ?? "") && !header.has("upgrade");
}

const counting = new WeakMap<Request, Visit>();

/** Tells that bytes of a request's body were read. Throws when there are too many. */
export function received(request: Request, bytes: number): void {
  counting.get(request)?.received(bytes);
}

/** Tells that a request is refused, or fails. Who watches tells the operator, else the log is told by who calls this. */
export function failed(request: Request, error: unknown): void {
  counting.get(request)?.failed(error);
}

/** Tells what a request stored: with the request where it is told, else as a line of its own. */
export function noted(
  request: Request,
  { watch, log }: Pick<ServerContext, "watch" | "log">,
  what: string,
): void {
  if (watch?.tells) counting.get(request)?.noted(what);
  else log(what);
}
