/**
 * The script of a page on another origin than the store: what a page does with a store, by connect-web, by fetch and by
 * WebSocket. Bundled and run by `browser_test.ts`, which calls `ask` and judges what comes back.
 */
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import * as snix from "../../src/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import * as tvix from "../../src/gen/tvix/castore/v1/rpc_blobstore_pb.ts";

const transports: Record<string, (baseUrl: string) => Transport> = {
  "grpc-web": (baseUrl) => createGrpcWebTransport({ baseUrl }),
  connect: (baseUrl) => createConnectTransport({ baseUrl }),
  "connect json": (baseUrl) => createConnectTransport({ baseUrl, useBinaryFormat: false }),
};

/** Errors as text, so that they can be told to the test. */
async function told<T>(call: Promise<T>): Promise<T | string> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof ConnectError)) return String(error);
    return `${Code[error.code]} ${error.metadata.get("firn-error")}: ${error.rawMessage}`;
  }
}

async function putOverHttp(url: string, length: number): Promise<unknown> {
  const bytes = new Uint8Array(length).map((_, i) => i % 255);
  const answer = await fetch(`${url}/blob`, { method: "PUT", body: bytes });
  return await answer.json();
}

async function readOverHttp(url: string, digest: string, range: string): Promise<unknown> {
  const answer = await fetch(`${url}/blob/${digest}`, { headers: { range } });
  return {
    status: answer.status,
    range: answer.headers.get("content-range"),
    bytes: [...new Uint8Array(await answer.arrayBuffer())],
  };
}

async function refusedOverHttp(url: string, digest: string): Promise<unknown> {
  const answer = await fetch(`${url}/blob/${digest}`, { method: "PUT", body: "something else" });
  return { status: answer.status, text: await answer.text() };
}

/** A client-streaming call, which connect-web cannot do: one message, and the frames that come back, in one array. */
function putOverWebSocket(url: string, data: string): Promise<unknown> {
  const bytes = new TextEncoder().encode(data);
  const received: number[] = [];
  return new Promise((resolve) => {
    const socket = new WebSocket(
      `${url.replace("http", "ws")}/snix.castore.v1.BlobService/Put`,
      "grpc-websockets",
    );
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      socket.send(new TextEncoder().encode("content-type: application/grpc-web+proto\r\n"));
      for (const byte of bytes) socket.send(Uint8Array.of(0, 0, 0, 0, 0, 3, 0x0a, 1, byte));
      socket.send(Uint8Array.of(1));
    };
    socket.onmessage = ({ data }) => received.push(...new Uint8Array(data));
    socket.onclose = ({ code }) => resolve({ code, received });
  });
}

async function call(protocol: string, url: string, digest: number[], absent: number[]): Promise<unknown> {
  const transport = transports[protocol](url);
  const results: unknown[] = [];
  for (const service of [snix.BlobService, tvix.BlobService] as const) {
    const client = createClient(service as typeof snix.BlobService, transport);
    const read = async (digest: number[]) => {
      let [length, messages] = [0, 0];
      for await (const { data } of client.read({ digest: Uint8Array.from(digest) })) {
        length += data.length;
        messages++;
      }
      return { length, severalMessages: messages > 1 };
    };
    const stat = async (digest: number[]) => {
      const { chunks } = await client.stat({ digest: Uint8Array.from(digest) });
      return chunks.map(({ size }) => Number(size));
    };
    results.push({
      read: await told(read(digest)),
      stat: await told(stat(digest)),
      absentRead: await told(read(absent)),
      absentStat: await told(stat(absent)),
    });
  }
  return results;
}

const deeds = { putOverHttp, readOverHttp, refusedOverHttp, putOverWebSocket, call };

/** What a page can be asked to do. */
export type Deed = keyof typeof deeds;

Object.assign(globalThis, {
  ask: (deed: Deed, ...args: unknown[]) => (deeds[deed] as (...args: unknown[]) => Promise<unknown>)(...args),
});
