/**
 * Remote calls over ordinary HTTP, on the port of the binary cache: gRPC-Web (binary and text) and Connect.
 *
 * A call's path is `/<package>.<Service>/<Method>`; no path of a binary cache looks like that. Native gRPC ends with
 * trailers, which the platforms' `fetch` handlers cannot send, so here it is answered with a status in the headers
 * ("Trailers-Only", which every gRPC client understands and shows) that says so.
 *
 * Pages of every origin may call, without credentials of the browser's own: a token is what somebody gives them, and what they can
 * write is contents named by their digest, and path infos that are proven and never replaced.
 * All content types used here need a preflight, so a page cannot write where its browser was not told that it may.
 */
import { Code, ConnectError, cors } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Hono } from "hono";
import type { Bytes } from "../../bytes/bytes.ts";
import { BLOB_ENCODING } from "../../castore/blob_frames.ts";
import { bodyStream } from "../bodies.ts";
import type { ServerContext } from "../context.ts";
import { errorResponse, HttpError } from "../http_error.ts";
import type { Door } from "../door.ts";
import type { Peer } from "../peer.ts";
import { peerOf } from "../visitors.ts";
import { behindDoor, type Rpc } from "./call_door.ts";
import { rpcHandler } from "./dispatch.ts";
import { grpcHandlers } from "./handlers.ts";
import { CALL_ROUTE, isNativeCall } from "./paths.ts";
import { toConnectError } from "./status.ts";
import { binaryTypeOf, decodeText, encodeText, textTypeOf } from "./text.ts";

/** What pages of other origins may send to calls, and read of the answers. */
export const CALL_CORS = {
  allowMethods: [...cors.allowedMethods],
  allowHeaders: [...cors.allowedHeaders, "Authorization", BLOB_ENCODING],
  exposeHeaders: [...cors.exposedHeaders, BLOB_ENCODING, "Firn-Error", "WWW-Authenticate", "Retry-After"],
};

/** What answers remote calls to a store, behind a door. */
export function rpcOver(context: ServerContext, door: Door): Rpc {
  const rpc = rpcHandler(grpcHandlers({ ...context, pathInfos: context.provenPathInfos }, context));
  return behindDoor(door, rpc, context.logFailure);
}

/** Adds the routes of calls. */
export function callRoutes(app: Hono, rpc: Rpc, context: ServerContext): void {
  app.on(["GET", "POST"], CALL_ROUTE, (c) => answer(c.req.raw, peerOf(c), rpc, context));
}

async function answer(
  request: Request,
  peer: Peer,
  rpc: Rpc,
  { stallMs }: ServerContext,
): Promise<Response> {
  const contentType = request.headers.get("content-type") ?? "";
  if (isNativeCall(contentType)) return nativeRefusal();
  const binaryType = binaryTypeOf(contentType);
  const header = new Headers(request.headers);
  if (binaryType !== undefined) header.set("content-type", binaryType);
  const ended = new AbortController();
  const leave = () => ended.abort(new ConnectError("The client went away", Code.Canceled));
  if (request.signal.aborted) leave();
  else request.signal.addEventListener("abort", leave, { once: true });
  const response = await rpc({
    httpVersion: "", // not told; that a call in both directions works needs no more than what follows
    method: request.method,
    url: request.url,
    header,
    body: requestBody(request, stallMs, binaryType !== undefined),
    signal: ended.signal,
  }, peer);
  if (response.status >= 400 && !response.body) return refusal(request, response.status);
  return toResponse(response, binaryType !== undefined, leave);
}

/** The body, of which every piece stays valid. */
async function* requestBody(
  request: Request,
  stallMs: number,
  text: boolean,
): AsyncGenerator<Bytes, void, void> {
  try {
    const bytes = bodyStream(request, stallMs);
    // Messages are views of the pieces, and the stream reads into one buffer again and again.
    if (text) yield* decodeText(bytes);
    else for await (const piece of bytes) yield piece.slice();
  } catch (error) {
    throw bodyError(error);
  }
}

/** An error of a body, in the terms of the protocols. */
function bodyError(error: unknown): ConnectError {
  if (!(error instanceof HttpError)) return toConnectError(error);
  return new ConnectError(error.message, error.status === 408 ? Code.DeadlineExceeded : Code.Canceled);
}

/** @param leave called when the client does not want the rest */
function toResponse(response: UniversalServerResponse, text: boolean, leave: () => void): Response {
  const headers = new Headers(response.header);
  if (text) headers.set("content-type", textTypeOf(headers.get("content-type") ?? ""));
  if (!response.body) return new Response(null, { status: response.status, headers });
  const iterator = (text ? encodeText(response.body) : response.body)[Symbol.asyncIterator]();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      leave(); // first: the iterator may be waiting for the store, and returns only after that
      await iterator.return?.();
    },
  }, { highWaterMark: 1 });
  return new Response(body, { status: response.status, headers });
}

function refusal(request: Request, status: number): Response {
  const { pathname } = new URL(request.url);
  const type = request.headers.get("content-type") ?? "none";
  const why: Record<number, string> = {
    404: "this server has no such method",
    405: `it is not called by ${request.method}`,
    415:
      `its content type is ${type}; want application/grpc-web+proto, application/proto or application/json`,
  };
  return errorResponse(
    new HttpError(status, `Cannot call ${pathname}: ${why[status] ?? `status ${status}`}`),
  );
}

function nativeRefusal(): Response {
  return new Response(null, {
    headers: {
      "content-type": "application/grpc",
      // Not UNIMPLEMENTED, which clients take for a method that is missing, and try another.
      "grpc-status": String(Code.FailedPrecondition),
      "grpc-message":
        "This port cannot end a native gRPC call: use the gRPC port of this server, or gRPC-Web",
    },
  });
}
