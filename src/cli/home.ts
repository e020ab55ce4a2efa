/**
 * Opening a store by its address: which adapters keep it, and in what shape.
 *
 *   PATH, file:///PATH   a folder (folder_home.ts)
 *   kv:, kv:PATH, kv+http://…, kv+https://…
 *                        Deno KV (kv_home.ts)
 *   memory:              gone when the process ends
 */
import { openMemory } from "../adapters/memory/memory_store.ts";
import type { PackedStore } from "../combinators/packed.ts";
import { isKv } from "./kv_address.ts";
import { parsePacks } from "./kv_options.ts";
import { folderOf } from "./folder_address.ts";
import { disposeAll, type HomeOptions, type OpenHome } from "./open_home.ts";
import { UsageError } from "./usage.ts";

export type { HomeOptions, OpenHome } from "./open_home.ts";

/**
 * Opens the store at an address; a folder is made when missing. `log` is told what takes long. Throws `StoreBusyError` when
 * another process has it open, `RemoteError` when its server cannot be reached, and {@link UsageError} for an address that
 * cannot be one.
 */
export async function openHome(
  address: string,
  log: (line: string) => void,
  options: HomeOptions = {},
): Promise<OpenHome> {
  parsePacks(options.packs, address);
  if (address === "memory:") {
    const names = openMemory();
    const bytes = openMemory();
    return { names, bytes, alone: true, [Symbol.asyncDispose]: async () => await disposeAll([bytes, names]) };
  }
  // Imported when asked: what needs a disk may not be there where another kind is opened.
  if (isKv(address)) return await (await import("./kv_home.ts")).openKvHome(address, options);
  const folder = folderOf(address);
  if (folder === undefined) {
    throw new UsageError(
      `Cannot open the store ${address}: want a folder, file:///folder, memory:, kv:, kv+https://HOST or grpc+http://HOST:PORT`,
    );
  }
  return await (await import("./folder_home.ts")).openFolder(folder, log, options);
}

/** Opens a store in a folder that is there, when no server has it open. Throws as {@link openHome}. */
export async function openStopped(
  address: string,
  log: (line: string) => void,
): Promise<OpenHome & { readonly packs: PackedStore }> {
  if (isKv(address)) {
    throw new UsageError(
      `Cannot work on the store ${address}: servers may have it open, and this needs a store that none has; want a folder`,
    );
  }
  const folder = folderOf(address);
  if (folder === undefined) {
    throw new UsageError(`Cannot open the store ${address}: want a folder, or file:///folder`);
  }
  return await (await import("./folder_home.ts")).openFolderThere(folder, log);
}
