/**
 * The door for remote calls, in whichever protocol they came: by their metadata, and refused as each protocol has it.
 */
import { Code, createContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Asking, Door, Outcome, Visit } from "../door.ts";
import { needOfCall } from "../access/needs.ts";
import { type Peer, seenThrough, UNKNOWN_PEER } from "../peer.ts";
import { refusalOf, refused } from "./call_refusal.ts";
import { CALLER, TOLD } from "./caller.ts";
import { heardOut } from "./dispatch.ts";

/** Answers remote calls, whatever transport they come by; the peer is who sent them. */
export type Rpc = (request: UniversalServerRequest, peer?: Peer) => Promise<UniversalServerResponse>;

/** What answers calls, behind a door. `log` is told whom it does not let in. */
export function behindDoor(door: Door, rpc: Rpc, log: (line: string) => void): Rpc {
  if (door.isOpen) return rpc;
  return async (request, peer = UNKNOWN_PEER) => {
    const asking = askingOf(request, peer, door);
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

function askingOf({ method, url, header }: UniversalServerRequest, peer: Peer, { isTrusted }: Door): Asking {
  const { address, local } = seenThrough(peer, header, isTrusted);
  const path = new URL(url).pathname;
  return { protocol: "grpc", method, path, header, address, local, needs: needOfCall(path) };
}

function withValues(
  { httpVersion, method, url, header, body, signal }: UniversalServerRequest,
  values: Partial<UniversalServerRequest>,
): UniversalServerRequest {
  return { httpVersion, method, url, header, body, signal, ...values } as UniversalServerRequest;
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
  if (code !== undefined) visit.told(code);
  if (!body) {
    visit.end(status, "whole");
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
    if (code !== undefined) this.visit.told(code);
    // Some protocols tell of success in the body only, and of failure it was told.
    else if (body === "whole" && this.status === 200) this.visit.succeeded();
    this.visit.end(this.status, body);
  }
}
