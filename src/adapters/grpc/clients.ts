/**
 * Clients of the services in either of the packages they are spoken in: `snix.*` and, before March 2025, `tvix.*`. All
 * messages are the same bytes and, but for Entry (which was Node), have fields of the same names; so both are used in
 * the types of snix. A message of ours that holds an entry is made from its bytes by the schema that is given here.
 */
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import * as snixCastore from "../../gen/snix/castore/v1/castore_pb.ts";
import { BlobService } from "../../gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService } from "../../gen/snix/castore/v1/rpc_directory_pb.ts";
import * as snixStore from "../../gen/snix/store/v1/pathinfo_pb.ts";
import { PathInfoService } from "../../gen/snix/store/v1/rpc_pathinfo_pb.ts";
import * as tvixCastore from "../../gen/tvix/castore/v1/castore_pb.ts";
import { BlobService as TvixBlobService } from "../../gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService as TvixDirectoryService } from "../../gen/tvix/castore/v1/rpc_directory_pb.ts";
import * as tvixStore from "../../gen/tvix/store/v1/pathinfo_pb.ts";
import { PathInfoService as TvixPathInfoService } from "../../gen/tvix/store/v1/rpc_pathinfo_pb.ts";

/** The package in which the services are spoken. */
export type Era = "snix" | "tvix";

/** Clients of one era. */
export interface Clients {
  readonly era: Era;
  readonly blobs: Client<typeof BlobService>;
  readonly directories: Client<typeof DirectoryService>;
  readonly pathInfos: Client<typeof PathInfoService>;
  readonly entrySchema: typeof snixCastore.EntrySchema;
  readonly pathInfoSchema: typeof snixStore.PathInfoSchema;
}

/** The clients of both eras over a transport. */
export function clientsOver(transport: Transport): Readonly<Record<Era, Clients>> {
  const clients = (era: Era, services: Services): Clients => ({
    era,
    blobs: createClient(services.blobs, transport),
    directories: createClient(services.directories, transport),
    pathInfos: createClient(services.pathInfos, transport),
    entrySchema: services.entrySchema,
    pathInfoSchema: services.pathInfoSchema,
  });
  return { snix: clients("snix", SNIX), tvix: clients("tvix", TVIX as unknown as Services) };
}

const SNIX = {
  blobs: BlobService,
  directories: DirectoryService,
  pathInfos: PathInfoService,
  entrySchema: snixCastore.EntrySchema,
  pathInfoSchema: snixStore.PathInfoSchema,
};
type Services = typeof SNIX;

const TVIX = {
  blobs: TvixBlobService,
  directories: TvixDirectoryService,
  pathInfos: TvixPathInfoService,
  entrySchema: tvixCastore.NodeSchema,
  pathInfoSchema: tvixStore.PathInfoSchema,
};
