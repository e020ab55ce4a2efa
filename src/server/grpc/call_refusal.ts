/**
 * Calls that are refused before their method is asked, as each protocol has it:
 *
 *   gRPC, gRPC-Web      status 200 and `grpc-status` in the header: "Trailers-Only"
 *   Connect, one call   the status of HTTP that belongs to the code, and `{"code":…,"message":…}`
 *   Connect, a stream   status 200 and one message that ends it: 0x02 length(4, big-endian) `{"error":{"code":…,"message":…}}`
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { type Bytes, concat, fromText } from "../../bytes/bytes.ts";
import { HttpError } from "../http_error.ts";

const CODES: Record<number, Code> = {
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  413: Code.ResourceExhausted,
  429: Code.ResourceExhausted,
  503: Code.Unavailable,
};

/** An error of the door, in the terms of calls. */
export function refusalOf(error: unknown): ConnectError {
  if (error instanceof HttpError) {
    return new ConnectError(error.message, CODES[error.status] ?? Code.Internal, error.headers);
  }
  return new ConnectError("The server failed; its log says why", Code.Internal, {}, [], error);
}

/** The answer to a call that was not let in. */
export function refused(
  { header, method }: UniversalServerRequest,
  error: ConnectError,
): UniversalServerResponse {
  const contentType = header.get("content-type") ?? "";
  const answer = new Headers(error.metadata);
  if (/^application\/grpc(?:$|[-+;])/i.test(contentType)) {
    setTrailerStatus(answer, error);
    answer.set("content-type", contentType);
    return { status: 200, header: answer };
  }
  if (method === "POST" && /^application\/connect\+/i.test(contentType)) {
    answer.set("content-type", contentType);
    const told = concat([
      fromText('{"error":'),
      errorToJsonBytes(error, {}) as Bytes,
      fromText("}"),
    ]);
    const prefix = new Uint8Array(5);
    prefix[0] = 0x02;
    new DataView(prefix.buffer).setUint32(1, told.length);
    return { status: 200, header: answer, body: once(concat([prefix, told])) };
  }
  answer.set("content-type", "application/json");
  return {
    status: codeToHttpStatus(error.code),
    header: answer,
    body: once(errorToJsonBytes(error, {}) as Bytes),
  };
}

async function* once(bytes: Bytes): AsyncGenerator<Bytes, void, void> {
  yield await bytes;
}
