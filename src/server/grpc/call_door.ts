/**
 * The door for remote calls, in whichever protocol they came: by their metadata, and refused as each protocol has it.
 *
 *   gRPC, gRPC-Web      status 200 and `grpc-status` in the header: "Trailers-Only"
 *   Connect, one call   the status of HTTP that belongs to the code, and `{"code":…,"message":…}`
 *   Connect, a stream   status 200 and one message that ends it: 0x02 length(4, big-endian) `{"error":{"code":…,"message":…}}`
 */
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { type Bytes, concat, fromText } from "../../bytes/bytes.ts";
import type { Asking, Door, Outcome, Visit } from "../door.ts";
import { HttpError } from "../http_error.ts";
import { type Peer, UNKNOWN_PEER } from "../peer.ts";
import { CALLER, TOLD } from "./caller.ts";
import { heardOut } from "./dispatch.ts";

/** Answers remote calls, whatever transport they come by; the peer is who sent them. */
export type Rpc = (request: UniversalServerRequest, peer?: Peer) => Promise<UniversalServerResponse>;

const CODES: Record<number, Code> = {
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  413: Code.ResourceExhausted,
  429: Code.ResourceExhausted,
  503: Code.Unavailable,
};

/** What answers calls, behind a door. `log` is told whom it does not let in. */
export function behindDoor(door: Door, rpc: Rpc, log: (line: string) => void): Rpc {
  if (door.isOpen) return rpc;
  return async (request, peer = UNKNOWN_PEER) => {
    const asking = askingOf(request, peer);
    let visit: Visit;
    try {
      visit = await door.enter(asking);
    } catch (error) {
      const refusal = refusalOf(error);
      log(`refused ${asking.path}: ${Code[refusal.code]} ${refusal.rawMessage}`);
      await heardOut(request.body as AsyncIterable<Uint8Array>);
      return refused(request, refusal);
    }
    const contextValues = request.contextValues ?? createContextValues();
    contextValues.set(CALLER, visit.caller);
    if (!visit.matters) return await rpc(withValues(request, { contextValues }));
    contextValues.set(TOLD, (code, error) => visit.told(code, error));
    try {
      const body = receiving(request.body as AsyncIterable<Uint8Array>, visit);
      return sending(await rpc(withValues(request, { contextValues, body })), visit);
    } catch (error) {
      visit.failed(error);
      visit.end(500, "broken");
      throw error;
    }
  };
}

function askingOf({ method, url, header }: UniversalServerRequest, { address, local }: Peer): Asking {
  return { protocol: "grpc", method, path: new URL(url).pathname, header, address, local };
}

function withValues(
  { httpVersion, method, url, header, body, signal }: UniversalServerRequest,
  values: Partial<UniversalServerRequest>,
): UniversalServerRequest {
  return { httpVersion, method, url, header, body, signal, ...values } as UniversalServerRequest;
}

/** An error of the door, in the terms of calls. */
function refusalOf(error: unknown): ConnectError {
  if (error instanceof HttpError) {
    return new ConnectError(error.message, CODES[error.status] ?? Code.Internal, error.headers);
  }
  return new ConnectError("The server failed; its log says why", Code.Internal, {}, [], error);
}

/** The answer to a call that was not let in. */
function refused({ header, method }: UniversalServerRequest, error: ConnectError): UniversalServerResponse {
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

/** A body that is counted as it is read. */
async function* receiving(
  body: AsyncIterable<Uint8Array>,
  visit: Visit,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const piece of body) {
    try {
      visit.received(piece.length);
    } catch (error) {
      throw refusalOf(error);
    }
    yield piece;
  }
}

/** The answer; its visit ends when its body does. */
function sending(response: UniversalServerResponse, visit: Visit): UniversalServerResponse {
  const { status, header, body } = response;
  const code = codeIn(header);
  if (code) visit.told(code);
  if (!body) {
    visit.end(status, "whole", code);
    return response;
  }
  return {
    status,
    header,
    body: new CountedBody(body, visit, status, () => codeIn(response.trailer)),
    get trailer() {
      return response.trailer;
    },
  };
}

function codeIn(header: Headers | undefined): number | undefined {
  const code = header?.get("grpc-status");
  return code === null || code === undefined ? undefined : Number(code);
}

/** A body that is counted as it is taken, and that tells of its end even to who was never asked for anything. */
class CountedBody implements AsyncIterableIterator<Uint8Array> {
  #pieces: AsyncIterator<Uint8Array>;

  constructor(
    body: AsyncIterable<Uint8Array>,
    readonly visit: Visit,
    readonly status: number,
    readonly code: () => number | undefined,
  ) {
    this.#pieces = body[Symbol.asyncIterator]();
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await this.#pieces.next();
    } catch (error) {
      this.visit.failed(error);
      this.#end("broken");
      throw error;
    }
    if (next.done) this.#end("whole");
    else this.visit.sent(next.value.length);
    return next;
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#end("left");
    await this.#pieces.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(body: Outcome["body"]): void {
    const code = this.code();
    if (code) this.visit.told(code);
    this.visit.end(this.status, body);
  }
}
