/**
 * The two packages the services are spoken in: `snix.*` and, before March 2025, `tvix.*`. Their messages are the same bytes,
 * and their fields have the same names but for Entry, which was Node. So there is one implementation, typed by the names of
 * snix, and an {@link Era} holds what differs.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { Bytes } from "../../bytes/bytes.ts";
import { type Directory, DirectorySchema } from "../../gen/snix/castore/v1/castore_pb.ts";
import { BlobService } from "../../gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService } from "../../gen/snix/castore/v1/rpc_directory_pb.ts";
import { type PathInfo, PathInfoSchema } from "../../gen/snix/store/v1/pathinfo_pb.ts";
import { PathInfoService } from "../../gen/snix/store/v1/rpc_pathinfo_pb.ts";
import * as tvixCastore from "../../gen/tvix/castore/v1/castore_pb.ts";
import * as tvixBlobs from "../../gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import * as tvixDirectories from "../../gen/tvix/castore/v1/rpc_directory_pb.ts";
import * as tvixStore from "../../gen/tvix/store/v1/pathinfo_pb.ts";
import * as tvixPathInfos from "../../gen/tvix/store/v1/rpc_pathinfo_pb.ts";

/** One of the two packages. */
export interface Era {
  readonly name: "snix" | "tvix";
  readonly blobService: typeof BlobService;
  readonly directoryService: typeof DirectoryService;
  readonly pathInfoService: typeof PathInfoService;
  /** The message of an encoded Directory. */
  readDirectory(encoded: Bytes): Directory;
  /** The message of an encoded PathInfo. */
  readPathInfo(encoded: Bytes): PathInfo;
}

/** The package of today. */
export const SNIX: Era = {
  name: "snix",
  blobService: BlobService,
  directoryService: DirectoryService,
  pathInfoService: PathInfoService,
  readDirectory: (encoded) => fromBinary(DirectorySchema, encoded),
  readPathInfo: (encoded) => fromBinary(PathInfoSchema, encoded),
};

/** The package before. The types say snix: see above. */
export const TVIX: Era = {
  name: "tvix",
  blobService: tvixBlobs.BlobService as unknown as typeof BlobService,
  directoryService: tvixDirectories.DirectoryService as unknown as typeof DirectoryService,
  pathInfoService: tvixPathInfos.PathInfoService as unknown as typeof PathInfoService,
  readDirectory: (encoded) => fromBinary(tvixCastore.DirectorySchema, encoded) as unknown as Directory,
  readPathInfo: (encoded) => fromBinary(tvixStore.PathInfoSchema, encoded) as unknown as PathInfo,
};
