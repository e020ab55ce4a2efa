/**
 * firn: a Nix store as content-addressed files and folders, wherever JavaScript runs.
 *
 * As a program, `deno run -A mod.ts serve` is the server. As a library, this module is the portable core:
 *
 * ```ts
 * import { ingestNar, narLayout, openMemory, portableHashes, renderNar, servicesOver } from "./mod.ts";
 *
 * const services = servicesOver({ names: openMemory(), bytes: openMemory() });
 * const symlink = Uint8Array.fromHex(
 *   "0d000000000000006e69782d617263686976652d31000000010000000000000028000000000000000400000000000000747970650000" +
 *     "0000070000000000000073796d6c696e6b0006000000000000007461726765740000010000000000000061000000000000000100" +
 *     "0000000000002900000000000000",
 * );
 * const { node, narSize } = await ingestNar([symlink], { ...services, hashes: portableHashes });
 * const layout = await narLayout(node, services.directories);
 * for await (const piece of renderNar(layout, services.blobs)) console.log(piece.length, narSize);
 * ```
 *
 * @module
 */
export * from "./src/errors.ts";
export type { Bytes } from "./src/bytes/bytes.ts";
export { Budget } from "./src/bytes/budget.ts";
export type { ByteSource } from "./src/bytes/streams.ts";
export * from "./src/bytes/nixbase32.ts";
export type { Hasher, HashName, HashProvider } from "./src/hash/hasher.ts";
export { blake3, createBlake3 } from "./src/hash/blake3.ts";
export type { Bao, BaoRange, BaoShape } from "./src/hash/bao_tree.ts";
export { type BaoHasher, createBao, outboardOf } from "./src/hash/bao.ts";
export { groupsOf, verifyRange } from "./src/hash/bao_range.ts";
export { verifyOutboard } from "./src/hash/bao_outboard.ts";
export {
  encodeSlice,
  sliceLength,
  type SliceOptions,
  verifySlice,
  type VerifySliceOptions,
} from "./src/hash/bao_slice.ts";
export { type BlobHashes, type ChunkHashes, ownHashes } from "./src/hash/blob_hashes.ts";
export { BlobHasher } from "./src/hash/blob_hasher.ts";
export { portableHashes } from "./src/hash/hashes.ts";
export { type HashPool, type HashPoolOptions, type LaneWorker, openHashPool } from "./src/hash/hash_pool.ts";
export { serveLane } from "./src/hash/serve_lane.ts";
export * from "./src/nar/parser.ts";
export { readNar } from "./src/nar/reader.ts";
export { writeNar } from "./src/nar/writer.ts";
export * from "./src/nar/listing.ts";
export * from "./src/nix/store_path.ts";
export * from "./src/nix/nar_info.ts";
export * from "./src/nix/cache_info.ts";
export * from "./src/nix/content_address.ts";
export * from "./src/nix/fingerprint.ts";
export * from "./src/nix/signature.ts";
export * from "./src/nix/references.ts";
export * from "./src/castore/byte_store.ts";
export type * from "./src/castore/blob_service.ts";
export * from "./src/castore/digest.ts";
export * from "./src/castore/directory.ts";
export * from "./src/castore/read_directory.ts";
export type * from "./src/castore/directory_service.ts";
export type * from "./src/castore/node.ts";
export { blobsOver } from "./src/castore/blobs_over.ts";
export { directoriesOver } from "./src/castore/directories_over.ts";
export { descend } from "./src/castore/descend.ts";
export { guarded, type GuardedStore, type GuardOptions } from "./src/castore/guarded_store.ts";
export * from "./src/store/codec.ts";
export { type IngestedNar, ingestNar, type IngestOptions } from "./src/store/ingest_nar.ts";
export { NarLayout, narLayout } from "./src/store/nar_layout.ts";
export { renderNar } from "./src/store/render_nar.ts";
export { pressNar, type PressOptions, readPressed } from "./src/store/press_nar.ts";
export { PressedNar } from "./src/store/pressed_nar.ts";
export { renderPressed } from "./src/store/render_pressed.ts";
export { givesStored, type StoringBlobs } from "./src/store/stored_chunks.ts";
export type { PathInfo } from "./src/store/path_info.ts";
export type { PathInfoService } from "./src/store/path_info_service.ts";
export { type Home, type Services, servicesOver } from "./src/store/services.ts";
export { publish } from "./src/store/publish.ts";
export { calculateNar, type ProofOptions, provenPathInfos } from "./src/store/prove.ts";
export {
  type ClosureMember,
  type ClosureOptions,
  type ClosurePath,
  type PathClosure,
  pathClosure,
  shortestChain,
} from "./src/store/path_closure.ts";
export { findInFiles, type FindOptions, type Mention } from "./src/store/find_in_files.ts";
export * from "./src/store/difference.ts";
export { follow, type FollowOptions, type Place, type Walkable } from "./src/store/follow.ts";
export { receiveNar, type ReceiveOptions } from "./src/store/receive_nar.ts";
export { MAX_PIN_NAME_LENGTH, type Pin, type Pins, pinsOver } from "./src/store/roots.ts";
export {
  type CollectedGarbage,
  collectGarbage,
  type CollectOptions,
  type CollectProgress,
  deletePaths,
} from "./src/store/garbage.ts";
export {
  type Amount,
  measureStore,
  type PathStatistics,
  type StatisticsOptions,
  type StoreStatistics,
} from "./src/store/statistics.ts";
export type { Compacted, CompactOptions } from "./src/combinators/compaction.ts";
export {
  openPacked,
  type PackedParts,
  type PackedStore,
  type PackedUse,
  type Packing,
} from "./src/combinators/packed.ts";
export {
  indexOver,
  type MovedEntry,
  type PackBytes,
  type PackEntry,
  type PackIndex,
  type PackLocation,
  type PackUse,
} from "./src/combinators/pack_index.ts";
export { openJournalIndex } from "./src/combinators/journal_index.ts";
export type * from "./src/combinators/pack_journal.ts";
export { nearFar, type NearFarOptions } from "./src/combinators/near_far.ts";
export { openGrpc, type RemoteOptions, type RemoteServices } from "./src/adapters/grpc/open_grpc.ts";
export { type IdbHome, type IdbOptions, openIdb } from "./src/adapters/idb/open_idb.ts";
export {
  openS3,
  S3_PACKING,
  type S3Credentials,
  type S3Operation,
  type S3Options,
  type S3RequestReport,
  type S3Store,
} from "./src/adapters/s3/open_s3.ts";
export type { S3Place } from "./src/adapters/s3/bucket_url.ts";
export { openMemory } from "./src/adapters/memory/memory_store.ts";
export { createApp, createServer, type Server, type ServerOptions } from "./src/server/app.ts";
export type * from "./src/server/door.ts";
export type { Peer } from "./src/server/peer.ts";
export { NEARBY_ACCESS } from "./src/server/access/nearby_access.ts";

/** Where the endpoint is, for a platform that has a main module of its own; in browsers it is nowhere. */
const ENDPOINT = "./src/cli/edge.ts";

type Fetch = (request: Request, address?: string) => Response | Promise<Response>;
let endpoint: Fetch | undefined;

async function loadEndpoint(): Promise<Fetch> {
  // By name here, or it is not loaded with the rest; bundlers for browsers know that nothing is the main module there, and leave it out.
  const { fetch } = import.meta.main ? await import("./src/cli/edge.ts") : await import(ENDPOINT);
  return endpoint = fetch;
}

/** What a platform calls. */
interface ServedModule {
  fetch(request: Request, info?: { remoteAddr?: object }): Response | Promise<Response>;
  onListen?(address: object): void;
}

let isServed = false;

/**
 * What `deno serve mod.ts` and Deno Deploy run: the store that the environment names. A program that was told what to do has none, or
 * the runtime would ask whether that was meant.
 */
export default (import.meta.main && Deno.args.length > 0 ? {} : {
  fetch(request, info) {
    const { hostname } = (info?.remoteAddr ?? {}) as { hostname?: string };
    return endpoint ? endpoint(request, hostname) : loadEndpoint().then((fetch) => fetch(request, hostname));
  },
  onListen(address) {
    isServed = true;
    const { hostname, port } = address as { hostname?: string; port?: number };
    const host = hostname?.includes(":") ? `[${hostname}]` : hostname;
    console.log(`firn serves on ${host === undefined ? JSON.stringify(address) : `http://${host}:${port}`}`);
  },
} satisfies ServedModule) as ServedModule;

if (import.meta.main) {
  const main = async () => {
    if (isServed) return;
    const { main } = await import("./src/cli/main.ts");
    Deno.exitCode = await main(Deno.args);
  };
  if (Deno.args.length > 0) await main();
  else addEventListener("beforeunload", main, { once: true }); // a module is served, or else there is nothing to do
}
