/** The transport of native gRPC, over an HTTP/2 client that is handed in. */
import type { Transport } from "@connectrpc/connect";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-grpc";

/** Longest message a remote may send: a Directory of 100,000 entries has some 6 MiB. */
const MAX_READ = 64 * 1024 * 1024;
const MAX_WRITE = 2 ** 32 - 1;

/** Speaks native gRPC by `request`, which must give the trailers of a response once its body has ended. */
export function grpcTransport(baseUrl: string, request: UniversalClientFn): Transport {
  return createTransport({
    baseUrl,
    httpClient: request,
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: MAX_WRITE,
    readMaxBytes: MAX_READ,
    writeMaxBytes: MAX_WRITE,
  });
}
