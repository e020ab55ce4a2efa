/** The services over stores in memory, and clients of every protocol and package that reach them without a network. */
import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createTransport as createConnect } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpc } from "@connectrpc/connect/protocol-grpc";
import { createTransport as createGrpcWeb } from "@connectrpc/connect/protocol-grpc-web";
import type {
  UniversalClientFn,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { type Bytes, concat } from "../../../src/bytes/bytes.ts";
import type { Entry, EntrySchema } from "../../../src/gen/snix/castore/v1/castore_pb.ts";
import type { PathInfo, PathInfoSchema } from "../../../src/gen/snix/store/v1/pathinfo_pb.ts";
import { portableHashes } from "../../../src/hash/hashes.ts";
import { rpcHandler } from "../../../src/server/grpc/dispatch.ts";
import { type Era, SNIX, TVIX } from "../../../src/server/grpc/era.ts";
import { type GrpcContext, grpcHandlers, type GrpcOptions } from "../../../src/server/grpc/handlers.ts";
import { servicesOver } from "../../../src/store/services.ts";

const TRANSPORTS = { grpc: createGrpc, "grpc-web": createGrpcWeb, connect: createConnect };

export type Protocol = keyof typeof TRANSPORTS;
export const PROTOCOLS = Object.keys(TRANSPORTS) as Protocol[];

/** Stores in memory, some parts replaced, and what they log. */
export function openContext(parts: Partial<GrpcContext> = {}): GrpcContext & { readonly lines: string[] } {
  const lines: string[] = [];
  const services = servicesOver({ names: openMemory(), bytes: openMemory() });
  const log = (line: string) => void lines.push(line);
  return { ...services, hashes: portableHashes, log, stallMs: 60_000, ...parts, lines };
}

/** A transport of this protocol to the services over a store. */
export function transportTo(
  context: GrpcContext,
  protocol: Protocol,
  options: GrpcOptions & { json?: boolean } = {},
): Transport {
  return TRANSPORTS[protocol]({
    httpClient: inMemory(rpcHandler(grpcHandlers(context, options))),
    baseUrl: "https://store.test",
    useBinaryFormat: !options.json,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1024,
    readMaxBytes: 2 ** 26,
    writeMaxBytes: 2 ** 26,
  });
}

/**
 * Hands requests to a handler as a connection would: trailers are there once the body has ended, and a call that is aborted
 * ends at once, whatever the handler does.
 */
export function inMemory(
  handle: (request: UniversalServerRequest) => Promise<UniversalServerResponse>,
): UniversalClientFn {
  return async ({ url, method, header, body = stream(), signal = new AbortController().signal }) => {
    const aborted = new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    aborted.catch(() => {});
    const handled = handle({ httpVersion: "2", url, method, header, body, signal });
    const response = await Promise.race([handled, aborted]);
    const read = async function* () {
      const pieces = (response.body ?? stream<Uint8Array>())[Symbol.asyncIterator]();
      try {
        while (true) {
          const next = await Promise.race([pieces.next(), aborted]);
          if (next.done) return;
          yield next.value;
        }
      } finally {
        pieces.return?.();
      }
    };
    const { status, header: answered = new Headers(), trailer = new Headers() } = response;
    return { status, header: answered, body: read(), trailer };
  };
}

/** Clients of the three services, in one package, by one protocol. */
export interface Clients {
  readonly era: Era;
  readonly protocol: Protocol;
  readonly blobs: Client<Era["blobService"]>;
  readonly directories: Client<Era["directoryService"]>;
  readonly pathInfos: Client<Era["pathInfoService"]>;
}

/** Clients of a store. */
export function clientsOf(
  context: GrpcContext,
  era: Era,
  protocol: Protocol,
  options?: GrpcOptions & { json?: boolean },
): Clients {
  const transport = transportTo(context, protocol, options);
  const client = <T extends DescService>(service: T): Client<T> => createClient(service, transport);
  return {
    era,
    protocol,
    blobs: client(era.blobService),
    directories: client(era.directoryService),
    pathInfos: client(era.pathInfoService),
  };
}

/** Both packages, by each of the protocols. */
export function* everyWay(): Generator<{ era: Era; protocol: Protocol; way: string }> {
  for (const era of [SNIX, TVIX]) {
    for (const protocol of PROTOCOLS) {
      yield { era, protocol, way: `${era.name} by ${protocol}` };
    }
  }
}

/** A POST as transports hand it on: this body, in pieces, to the method of this path. */
export function post(
  path: string,
  contentType: string,
  pieces: Iterable<Uint8Array>,
  headers: Record<string, string> = {},
): UniversalServerRequest {
  return {
    httpVersion: "2",
    method: "POST",
    url: "https://store.test" + path,
    header: new Headers({ "content-type": contentType, ...headers }),
    body: streamOf(pieces),
    signal: new AbortController().signal,
  };
}

/** A message as it travels in a stream. */
export function envelope(message: Uint8Array): Bytes {
  const prefix = new Uint8Array(5);
  new DataView(prefix.buffer).setUint32(1, message.length);
  return concat([prefix, message]);
}

/** How a call ended: the name of its code and its error, or `OK` and what it gave (of a stream, all messages). */
export async function outcome(
  call: Promise<unknown> | AsyncIterable<unknown>,
): Promise<{ code: string; value?: unknown; error?: ConnectError }> {
  try {
    if (call instanceof Promise) return { code: "OK", value: await call };
    return { code: "OK", value: await all(call) };
  } catch (cause) {
    const error = ConnectError.from(cause);
    return { code: Code[error.code], error };
  }
}

/** All messages of a stream. */
export async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const message of messages) list.push(message);
  return list;
}

async function* streamOf<T>(messages: Iterable<T>): AsyncGenerator<T, void, void> {
  for (const message of messages) yield await message;
}

/** A stream of these messages. */
export function stream<T>(...messages: T[]): AsyncGenerator<T, void, void> {
  return streamOf(messages);
}

/** The Entry of an era, whose oneof has another name in each; typed, as all clients here, by the names of snix. */
export function entryOf(era: Era, entry: unknown): MessageInitShape<typeof EntrySchema> {
  return era.name === "snix" ? { entry } as Entry : { node: entry } as unknown as Entry;
}

/** The PathInfo of an era, whose root has another name in each. */
export function pathInfoOf(
  era: Era,
  entry: unknown,
  rest: Record<string, unknown>,
): MessageInitShape<typeof PathInfoSchema> {
  const root = entry === undefined ? undefined : entryOf(era, entry);
  return (era.name === "snix" ? { entry: root, ...rest } : { node: root, ...rest }) as PathInfo;
}
