/**
 * A bound on the length of messages that come in. Connect has one too, of which the error does not say what to do; here the
 * messages are measured before it sees them.
 *
 *   stream := { flags:1 length:4 (big-endian) message }     gRPC, gRPC-Web, streams of Connect
 *   stream := message                                       unary calls of Connect
 */
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { LimitError } from "../../errors.ts";
import { toConnectError } from "./status.ts";

/** Bytes before each message of a stream. */
const PREFIX = 5;

/** The handler, refusing messages of more than `limit` bytes with RESOURCE_EXHAUSTED. */
export function limitMessages(handler: UniversalHandler, limit: number): UniversalHandler {
  const limited = async (request: UniversalServerRequest) => await handler(limitRequest(request, limit));
  return Object.assign(limited, {
    protocolNames: handler.protocolNames,
    service: handler.service,
    method: handler.method,
    requestPath: handler.requestPath,
    allowedMethods: handler.allowedMethods,
    supportedContentType: handler.supportedContentType,
  });
}

function limitRequest(request: UniversalServerRequest, limit: number): UniversalServerRequest {
  const { httpVersion, method, url, signal, contextValues } = request;
  const body = request.body as AsyncIterable<Uint8Array>;
  const inEnvelopes = /^application\/(?:grpc|connect\+)/i.test(request.header.get("content-type") ?? "");
  const promised = Number(request.header.get("content-length"));
  if (inEnvelopes || !(promised > limit)) {
    const limited = inEnvelopes ? limitEnvelopes(body, limit) : limitLength(body, limit);
    return { httpVersion, method, url, header: request.header, signal, contextValues, body: limited };
  }
  const header = new Headers(request.header);
  header.delete("content-length"); // of which room would be made before the body is looked at
  return { httpVersion, method, url, header, signal, contextValues, body: refuse(promised, limit) };
}

/** Passes the bytes on, looking only at prefixes. */
async function* limitEnvelopes(
  body: AsyncIterable<Uint8Array>,
  limit: number,
): AsyncGenerator<Uint8Array, void, void> {
  let inPrefix = 0;
  let length = 0;
  let left = 0;
  for await (const bytes of body) {
    for (let at = 0; at < bytes.length;) {
      if (inPrefix < PREFIX) {
        length = inPrefix === 0 ? 0 : length * 256 + bytes[at];
        inPrefix++;
        at++;
        if (inPrefix < PREFIX) continue;
        if (length > limit) throw tooLong(`has ${length}`, limit);
        left = length;
      }
      const skipped = Math.min(left, bytes.length - at);
      at += skipped;
      left -= skipped;
      if (left === 0) inPrefix = 0;
    }
    yield bytes;
  }
}

async function* limitLength(
  body: AsyncIterable<Uint8Array>,
  limit: number,
): AsyncGenerator<Uint8Array, void, void> {
  let length = 0;
  for await (const bytes of body) {
    length += bytes.length;
    if (length > limit) throw tooLong(`has over ${limit}`, limit);
    yield bytes;
  }
}

// deno-lint-ignore require-yield
async function* refuse(length: number, limit: number): AsyncGenerator<Uint8Array, void, void> {
  throw await tooLong(`has ${length}`, limit);
}

/** @param has what of the message is too long: `has 5000` (bytes) */
export function tooLong(has: string, limit: number): Error {
  return toConnectError(
    new LimitError(
      limit,
      `Cannot take the message: it ${has} bytes, and ${limit} is the most; send blobs in smaller messages, or ask for a higher limit`,
    ),
  );
}
