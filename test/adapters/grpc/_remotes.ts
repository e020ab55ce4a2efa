/** Remotes whose server is in this process: firn's own over memory, or one that is made up, by any of the three protocols. */
import type { DescService } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createConnectRouter,
  type ServiceImpl,
  type Transport,
} from "@connectrpc/connect";
import {
  createUniversalHandlerClient,
  type UniversalClientFn,
  type UniversalHandler,
} from "@connectrpc/connect/protocol";
import { createTransport as createConnect } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpc } from "@connectrpc/connect/protocol-grpc";
import { createTransport as createGrpcWeb } from "@connectrpc/connect/protocol-grpc-web";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { BlobService } from "../../../src/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService } from "../../../src/gen/snix/castore/v1/rpc_directory_pb.ts";
import { PathInfoService } from "../../../src/gen/snix/store/v1/rpc_pathinfo_pb.ts";
import { portableHashes } from "../../../src/hash/hashes.ts";
import { grpcHandlers } from "../../../src/server/grpc/handlers.ts";
import { type Services, servicesOver } from "../../../src/store/services.ts";
import { openGrpc, type RemoteOptions, type RemoteServices } from "../../../src/adapters/grpc/open_grpc.ts";

export const PROTOCOLS = { connect: createConnect, grpc: createGrpc, "grpc-web": createGrpcWeb };
export type Protocol = keyof typeof PROTOCOLS;

/** What a remote is asked, seen where its requests leave. */
export class Watched {
  /** `Service/Method` of each call, in order. */
  readonly calls: string[] = [];
  underWay = 0;
  mostUnderWay = 0;
  /** Bytes of requests of calls that have not been answered. */
  bytesUnderWay = 0;
  mostBytesUnderWay = 0;
  /** The longest chain of calls that began after the one before them had ended: what a delay is paid for. */
  rounds = 0;
  #ended = 0;

  /** @param delayMs added to every call */
  constructor(readonly delayMs = 0) {}

  count(method: string): number {
    return this.calls.filter((call) => call === method).length;
  }

  /** A client that is watched. */
  watch(inner: UniversalClientFn): UniversalClientFn {
    return async (request) => {
      this.calls.push(request.url.split("/").slice(-2).join("/").replace(/^.*\.(?=\w+\/)/, ""));
      const round = this.#ended + 1;
      this.rounds = Math.max(this.rounds, round);
      this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
      let bytes = 0;
      const counted = async function* (watched: Watched) {
        for await (const piece of request.body ?? []) {
          bytes += piece.length;
          watched.bytesUnderWay += piece.length;
          watched.mostBytesUnderWay = Math.max(watched.mostBytesUnderWay, watched.bytesUnderWay);
          yield piece;
        }
      };
      let ended = false;
      const end = () => {
        if (ended) return;
        ended = true;
        this.underWay--;
        this.#ended = Math.max(this.#ended, round);
        this.bytesUnderWay -= bytes;
      };
      request.signal?.addEventListener("abort", end);
      try {
        const response = await inner({ ...request, body: counted(this) });
        if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
        return response;
      } catch (error) {
        end();
        throw error;
      }
    };
  }
}

export interface TransportOptions {
  readonly protocol?: Protocol;
  readonly watched?: Watched;
  /** Wraps what sends the requests. */
  readonly wrap?: (client: UniversalClientFn) => UniversalClientFn;
}

/** A transport to these handlers. */
export function transportTo(
  handlers: readonly UniversalHandler[],
  { protocol = "grpc", watched, wrap = (client) => client }: TransportOptions = {},
): Transport {
  const client = wrap(createUniversalHandlerClient([...handlers]));
  return PROTOCOLS[protocol]({
    httpClient: watched ? watched.watch(client) : client,
    baseUrl: "http://in.memory",
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1e9,
    readMaxBytes: 0xffffffff,
    writeMaxBytes: 0xffffffff,
  });
}

/** firn's own server over services in memory, or those given. */
export function firnHandlers(
  services: Services = servicesOver({ names: openMemory(), bytes: openMemory() }),
): readonly UniversalHandler[] {
  return grpcHandlers({ ...services, hashes: portableHashes, log: () => {}, stallMs: 60_000 });
}

/** A remote of firn's own, as the contracts want it. */
export function openRemote(
  options: TransportOptions & RemoteOptions & { services?: Services } = {},
): RemoteServices & AsyncDisposable & { remote: true } {
  const handlers = firnHandlers(options.services);
  const era = options.era && handlers.filter(({ requestPath }) => requestPath.startsWith(`/${options.era}.`));
  const remote = openGrpc(transportTo(era ?? handlers, options), options);
  return { ...remote, remote: true, [Symbol.asyncDispose]: async () => {} };
}

/** A made-up server's methods, in the names of snix. */
export interface MadeUp {
  readonly blobs?: Partial<ServiceImpl<typeof BlobService>>;
  readonly directories?: Partial<ServiceImpl<typeof DirectoryService>>;
  readonly pathInfos?: Partial<ServiceImpl<typeof PathInfoService>>;
}

/** A remote whose server is made up. */
export function openMadeUp(
  { blobs, directories, pathInfos }: MadeUp,
  options: TransportOptions & RemoteOptions = {},
): RemoteServices {
  const router = createConnectRouter();
  const serve = <S extends DescService>(
    service: S,
    methods: Partial<ServiceImpl<S>> | undefined,
  ): ConnectRouter => router.service(service, methods ?? {});
  serve(BlobService, blobs);
  serve(DirectoryService, directories);
  serve(PathInfoService, pathInfos);
  return openGrpc(transportTo(router.handlers, options), { backoffMs: 1, ...options });
}

export const notFound = () => new ConnectError("not found", Code.NotFound);
