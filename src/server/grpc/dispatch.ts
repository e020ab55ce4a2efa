/**
 * Finding the handler of a request by its path, for any transport that speaks in Connect's universal requests: HTTP/2 of ours,
 * `fetch`, WebSockets.
 */
import { Code } from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { encodeMessage, plainMessage } from "./grpc_message.ts";

/**
 * Answers requests by these handlers. Pieces of a request's body must stay as they are, for messages are views of them. An
 * unknown method is UNIMPLEMENTED to gRPC, and status 404 to all others.
 */
export function rpcHandler(
  handlers: readonly UniversalHandler[],
): (request: UniversalServerRequest) => Promise<UniversalServerResponse> {
  const byPath = new Map(handlers.map((handler) => [handler.requestPath, handler]));
  return async (request) => {
    const { pathname } = new URL(request.url);
    const handler = byPath.get(pathname);
    return handler ? withPlainMessage(await handler(request)) : await unknownMethod(request, pathname);
  };
}

/** The trailers are complete only when the body has ended, which is when they are asked for. */
function withPlainMessage(response: UniversalServerResponse): UniversalServerResponse {
  const { status, header, body, trailer } = response;
  if (!trailer) return response;
  return {
    status,
    header,
    body,
    get trailer() {
      return plainMessage(trailer);
    },
  };
}

/** Most of a body that is read before the answer that nobody wanted it, in bytes and in milliseconds. */
const PATIENCE = 64 * 1024;
const PATIENCE_MS = 1000;

/**
 * Hears a request out that will be refused, as far as it is short: clients that are cut off while they send may miss the
 * answer. One that waits for an answer before it sends more is not waited for.
 */
export async function heardOut(body: AsyncIterable<Uint8Array>): Promise<void> {
  const pieces = body[Symbol.asyncIterator]();
  const read = async () => {
    for (let length = 0; length <= PATIENCE;) {
      const next = await pieces.next();
      if (next.done) return;
      length += next.value.length;
    }
  };
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, PATIENCE_MS));
  await Promise.race([read(), late]).catch(() => {}).finally(() => clearTimeout(timer)); // the client may have left: then nobody reads
  pieces.return?.().catch(() => {}); // it may wait for the client
}

async function unknownMethod(
  { header, body }: UniversalServerRequest,
  path: string,
): Promise<UniversalServerResponse> {
  await heardOut(body as AsyncIterable<Uint8Array>);
  const message = `Cannot call ${path}: there is no such method here`;
  const contentType = header.get("content-type") ?? "";
  if (!/^application\/grpc(?:$|[-+;\s])/i.test(contentType)) {
    const text = new TextEncoder().encode(message + "\n");
    return {
      status: 404,
      header: new Headers({ "content-type": "text/plain; charset=utf-8" }),
      body: (async function* () {
        yield await text;
      })(),
    };
  }
  return {
    status: 200, // the status of the call stands in the header, for there will be no trailer
    header: new Headers({
      "content-type": contentType,
      "grpc-status": String(Code.Unimplemented),
      "grpc-message": encodeMessage(message),
    }),
  };
}
