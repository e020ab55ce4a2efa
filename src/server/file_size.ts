/** Of a file that stands alone only a URL tells the size, so that is held against the blob before it is promised. */
import type { BlobService } from "../castore/blob_service.ts";
import { formatDigest } from "../castore/digest.ts";
import type { FileNode } from "../castore/node.ts";
import { MissingError } from "../errors.ts";

/** Throws {@link MissingError} unless there is such a file of this size. */
export async function checkFileSize(node: FileNode, blobs: BlobService): Promise<void> {
  const chunks = await blobs.chunks(node.digest);
  const size = chunks?.reduce((sum, chunk) => sum + chunk.size, 0);
  if (size !== node.size) throw new MissingError("file", formatDigest(node.digest));
}
