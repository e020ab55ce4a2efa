/**
 * Addresses of packs that are kept elsewhere than their store:
 *
 *   PATH, file:///PATH   a folder, a file each, which one process has open at a time
 *   s3://BUCKET/…        a bucket, an object each (s3_address.ts)
 */
import { openFs } from "../adapters/fs/fs_store.ts";
import { S3_PACKING } from "../adapters/s3/open_s3.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import type { Packing } from "../combinators/packing.ts";
import { folderOf } from "./folder_address.ts";
import type { HomeOptions } from "./open_home.ts";
import { isS3Address, openS3At } from "./s3_address.ts";
import { processSettings } from "./s3_credentials.ts";
import { UsageError } from "./usage.ts";

/** What keeps packs, and how they are best made there. */
export interface ElsewherePacks {
  readonly bytes: ByteStore;
  readonly packing: Partial<Packing>;
}

/**
 * Opens what keeps packs. Throws {@link UsageError} for an address that cannot be one, `StoreBusyError` for a folder that another
 * process has open, and what {@link openS3At} and its `check` throw.
 */
export async function openPacks(
  address: string,
  { onRequest }: Pick<HomeOptions, "onRequest">,
): Promise<ElsewherePacks> {
  if (isS3Address(address)) {
    // A pack never changes.
    const bucket = await openS3At(address, processSettings, { writeOnce: () => true, onRequest });
    await bucket.check();
    return { bytes: bucket, packing: S3_PACKING };
  }
  const folder = folderOf(address);
  if (folder === undefined) {
    throw new UsageError(`Cannot keep packs in ${address}: want a folder, or s3://BUCKET/PREFIX`);
  }
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new UsageError(`Cannot keep packs in ${address}: ${(cause as Error).message}`);
  }
  return { bytes: await openFs(folder, Deno), packing: {} };
}
