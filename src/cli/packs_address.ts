/**
 * Addresses of packs that are kept elsewhere than their store:
 *
 *   PATH, file:///PATH   a folder, a file each, which one process has open at a time
 */
import { openFs } from "../adapters/fs/fs_store.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { folderOf } from "./folder_address.ts";
import { UsageError } from "./usage.ts";

/**
 * Opens what keeps packs. Throws {@link UsageError} for an address that cannot be one, `StoreBusyError` for a folder that another
 * process has open.
 */
export async function openPacks(address: string): Promise<ByteStore> {
  const folder = folderOf(address);
  if (folder === undefined) {
    throw new UsageError(`Cannot keep packs in ${address}: want a folder, or file:///folder`);
  }
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new UsageError(`Cannot keep packs in ${address}: ${(cause as Error).message}`);
  }
  return await openFs(folder, Deno);
}
