/** A store somewhere else, spoken to by the castore and store services over gRPC, gRPC-Web or Connect. */
import type { Transport } from "@connectrpc/connect";
import type { Bytes } from "../../bytes/bytes.ts";
import type { BlobService } from "../../castore/blob_service.ts";
import type { DirectoryService } from "../../castore/directory_service.ts";
import type { Node } from "../../castore/node.ts";
import type { PathInfoService } from "../../store/path_info_service.ts";
import { Remote, type RemoteOptions } from "./remote.ts";
import { RemoteBlobs } from "./remote_blobs.ts";
import { RemoteDirectories } from "./remote_directories.ts";
import { RemotePathInfos } from "./remote_path_infos.ts";

export type { RemoteOptions } from "./remote.ts";

/** The services of a remote. */
export interface RemoteServices {
  readonly blobs: BlobService;
  readonly directories: DirectoryService;
  readonly pathInfos: PathInfoService;
  /**
   * The SHA-256 and length of the NAR of some contents, as the remote says. This is the one answer that is not
   * verified here: it would take reading all of it.
   */
  hashNar(node: Node): Promise<{ narSha256: Bytes; narSize: number }>;
}

/**
 * The services at the other end of a transport of any of Connect's protocols.
 *
 * What is read is verified before it is given: blobs, chunks and Directories by their digests; what is not what was asked
 * for is a `DamageError`. The list of a blob's chunks can only be verified by reading all of them, which happens when
 * the blob is read whole. A range of it is verified by the blob's outboard, if the remote has one to send (firn has, of
 * blobs up to 768 MiB); else it relies on the list, and so does the size of a blob of which a range is read. Errors are those the services document, as far as the
 * remote tells them apart, and `RemoteError` where it cannot be reached or fails.
 */
export function openGrpc(transport: Transport, options: RemoteOptions = {}): RemoteServices {
  const remote = new Remote(transport, options);
  const pathInfos = new RemotePathInfos(remote);
  return {
    blobs: new RemoteBlobs(remote, options.decoder),
    directories: new RemoteDirectories(remote),
    pathInfos,
    hashNar: (node) => pathInfos.hashNar(node),
  };
}
