/** Whether contents are still there, for who wrote a record of them while garbage was collected; see `collections.ts`. */
import type { BlobService } from "../castore/blob_service.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import type { Node } from "../castore/node.ts";
import { directoryItems } from "../castore/read_directory.ts";
import { MissingError, StoreBusyError } from "../errors.ts";

interface Contents {
  readonly blobs: BlobService;
  readonly directories: DirectoryService;
}

/** Throws {@link MissingError} unless all that a node speaks of is there. Reads Directories and lists, not the chunks. */
export async function checkContents(root: Node, { blobs, directories }: Contents): Promise<void> {
  if (root.type === "file") await checkFile(root.digest, blobs);
  if (root.type !== "directory") return;
  let found = false;
  for await (const { encoded } of directories.getClosure(root.digest)) {
    found = true;
    for (const { node } of directoryItems(encoded)) {
      if (node.type === "file") await checkFile(node.digest, blobs);
    }
  }
  if (!found) throw new MissingError("directory", formatDigest(root.digest));
}

async function checkFile(digest: Digest, blobs: BlobService): Promise<void> {
  if (!await blobs.has(digest)) throw new MissingError("blob", formatDigest(digest));
  for (const chunk of await blobs.chunks(digest) ?? []) {
    if (!await blobs.has(chunk.digest)) throw new MissingError("chunk", formatDigest(chunk.digest));
  }
}

/**
 * Looks whether a record that was written still speaks of what is there. If it does not, calls `takeBack` and throws
 * {@link StoreBusyError}: `what` is what could not be taken.
 */
export async function confirmRecord(
  what: string,
  check: () => Promise<void>,
  takeBack: () => Promise<unknown>,
): Promise<void> {
  try {
    await check();
  } catch (cause) {
    if (!(cause instanceof MissingError)) throw cause;
    await takeBack();
    throw new StoreBusyError(
      `Cannot take ${what}: garbage collection removed a part of it meanwhile; upload it again`,
      { cause },
    );
  }
}
