/**
 * A home and the services over it.
 */
import type { BlobService } from "../castore/blob_service.ts";
import { blobsOver } from "../castore/blobs_over.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { directoriesOver } from "../castore/directories_over.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import type { BlobHashes } from "../hash/blob_hashes.ts";
import type { PathInfoService } from "./path_info_service.ts";
import { pathInfosOver } from "./path_infos_over.ts";

/** Where a store lives: two ByteStores, which may be one. */
export interface Home {
  /** Small, mutable: path infos, what was received, side files. */
  readonly names: ByteStore;
  /** Content-addressed: chunks, chunk lists, Directories. */
  readonly bytes: ByteStore;
}

/** A store. */
export interface Services {
  readonly blobs: BlobService;
  readonly directories: DirectoryService;
  readonly pathInfos: PathInfoService;
  readonly names: ByteStore;
  /** Where the chunks of its blobs are, if they are in a ByteStore; records of pressed NARs are kept beside them. */
  readonly bytes?: ByteStore;
}

/** The services of a store that lives in a home. @param hashes who hashes blobs; default this thread */
export function servicesOver({ names, bytes }: Home, hashes?: BlobHashes): Services {
  return {
    blobs: blobsOver(bytes, hashes),
    directories: directoriesOver(bytes),
    pathInfos: pathInfosOver(names),
    names,
    bytes,
  };
}
