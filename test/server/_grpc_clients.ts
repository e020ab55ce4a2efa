/** Clients of remote calls over real HTTP, and gRPC-Web frames made and read by hand. */
import assert from "node:assert/strict";
import type { Transport } from "@connectrpc/connect";
import { createFetchClient } from "@connectrpc/connect/protocol";
import { createTransport as createConnect } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpcWeb } from "@connectrpc/connect/protocol-grpc-web";
import { type Bytes, concat, toText } from "../../src/bytes/bytes.ts";

export const PROTOCOLS = { "grpc-web": createGrpcWeb, connect: createConnect };

/** Connect's own transport, which streams requests too. */
export function transportTo(
  baseUrl: string,
  protocol: keyof typeof PROTOCOLS,
  { json = false } = {},
): Transport {
  // The platform wants to be told that a request is sent before its response is read.
  class HalfDuplex extends Request {
    constructor(input: RequestInfo | URL, init?: RequestInit) {
      super(input, init?.body ? { ...init, duplex: "half" } as RequestInit : init);
    }
  }
  return PROTOCOLS[protocol]({
    httpClient: createFetchClient((input, init) => fetch(new HalfDuplex(input, init))),
    baseUrl,
    useBinaryFormat: !json,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1024,
    readMaxBytes: 2 ** 26,
    writeMaxBytes: 2 ** 26,
  });
}

export interface Frame {
  readonly flag: number;
  readonly payload: Bytes;
}

/** A frame of gRPC-Web. */
export function frame(payload: Uint8Array, flag = 0): Bytes {
  const prefix = new Uint8Array(5);
  prefix[0] = flag;
  new DataView(prefix.buffer).setUint32(1, payload.length);
  return concat([prefix, payload]);
}

/** The frames of a whole body. */
export function framesOf(body: Bytes): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < body.length;) {
    const length = new DataView(body.buffer, body.byteOffset + at).getUint32(1);
    assert.ok(at + 5 + length <= body.length, "a frame is cut");
    frames.push({ flag: body[at], payload: body.slice(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  return frames;
}

/** Lines `name: value`, as headers. */
export function headersOf(block: Bytes): Headers {
  const lines = toText(block).split("\r\n").filter((line) => line !== "");
  return new Headers(lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  }));
}
