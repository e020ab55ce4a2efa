/**
 * firn's gRPC server over the store of the comparison, as a process: its HTTP/2, its services, nothing else.
 *
 *   deno run -A own.ts memory|FOLDER     prints the port on 127.0.0.1
 */
import { Http2Server } from "../../../src/adapters/http2/server.ts";
import { listenTcp } from "../../../src/adapters/http2/listen.ts";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { nativeHashes } from "../../../src/adapters/native/hashes.ts";
import { rpcHandler } from "../../../src/server/grpc/dispatch.ts";
import { grpcHandlers } from "../../../src/server/grpc/handlers.ts";
import { servicesOver } from "../../../src/store/services.ts";
import { openBlobs } from "./store.ts";

const blobs = await openBlobs(Deno.args[0]);
const rest = servicesOver({ names: openMemory(), bytes: openMemory() });
const context = { ...rest, blobs, hashes: nativeHashes, stallMs: 300_000, log: console.error };
const server = new Http2Server(rpcHandler(grpcHandlers(context)), { log: console.error });
const { port } = listenTcp({ hostname: "127.0.0.1", port: 0, log: console.error }, (duplex) => {
  server.handleConnection(duplex);
});
console.log(port);
