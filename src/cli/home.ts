/**
 * Opening a store by its address: which adapters keep it, and in what shape.
 *
 *   PATH, file:///PATH   a folder, with the names in a Deno KV file and the bytes in packs:
 *                          lock          held while a process has the store open
 *                          format        `firn-store 1`
 *                          names.kv      path infos, records of uploads, small packs
 *                          bytes/        packs, a file each
 *                          index.sqlite  where in the packs each value lies; made anew from the packs when missing
 *   memory:              gone when the process ends
 */
import { DatabaseSync } from "node:sqlite";
import { openDenoKv } from "../adapters/deno_kv/deno_kv_store.ts";
import { openFs } from "../adapters/fs/fs_store.ts";
import { lockFile } from "../adapters/fs/lock.ts";
import { openMemory } from "../adapters/memory/memory_store.ts";
import { openSqliteIndex } from "../adapters/sqlite/sqlite_index.ts";
import { openPacked, type PackedStore } from "../combinators/packed.ts";
import { buryCollector } from "../store/collections.ts";
import type { Home } from "../store/services.ts";
import { UsageError } from "./usage.ts";

const FORMAT = "firn-store 1\n";

/** A home that is open. Disposing it writes what waits and lets go of everything. */
export interface OpenHome extends Home, AsyncDisposable {
  /** The bytes, where they are packed. */
  readonly packs?: PackedStore;
}

/**
 * Opens the store at an address; a folder is made when missing. `log` is told what takes long. Throws `StoreBusyError` when
 * another process has it open, and {@link UsageError} for an address that cannot be one.
 */
export async function openHome(address: string, log: (line: string) => void): Promise<OpenHome> {
  if (address === "memory:") {
    const names = openMemory();
    const bytes = openMemory();
    return { names, bytes, [Symbol.asyncDispose]: async () => await disposeAll([bytes, names]) };
  }
  const folder = folderOf(address);
  if (folder === undefined) {
    throw new UsageError(
      `Cannot open the store ${address}: want a folder, file:///folder, memory: or grpc+http://HOST:PORT`,
    );
  }
  return await openFolder(folder, log);
}

/** Opens a store in a folder that is there, when no server has it open. Throws as {@link openHome}. */
export async function openStopped(
  address: string,
  log: (line: string) => void,
): Promise<OpenHome & { readonly packs: PackedStore }> {
  const folder = folderOf(address);
  if (folder === undefined) {
    throw new UsageError(`Cannot open the store ${address}: want a folder, or file:///folder`);
  }
  try {
    await Deno.stat(`${folder}/format`);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound ? "there is none" : (cause as Error).message;
    throw new UsageError(`Cannot open the store ${folder}: ${why}; --store says where it is`);
  }
  const home = await openFolder(folder, log);
  return { ...home, packs: home.packs! };
}

/** The folder of an address; `undefined` if it names something else. */
function folderOf(address: string): string | undefined {
  if (address.startsWith("file://")) return decodeURIComponent(new URL(address).pathname);
  return /^[a-z0-9+]{2,}:/i.test(address) ? undefined : address;
}

async function openFolder(folder: string, log: (line: string) => void): Promise<OpenHome> {
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new UsageError(`Cannot open the store ${folder}: ${(cause as Error).message}`);
  }
  const open: AsyncDisposable[] = [await lockFile(`${folder}/lock`)];
  try {
    await checkFormat(`${folder}/format`);
    const kv = await Deno.openKv(`${folder}/names.kv`);
    open.unshift({ [Symbol.asyncDispose]: () => Promise.resolve(kv.close()) });
    const names = openDenoKv(kv);
    open.unshift(names);
    const files = await openFs(`${folder}/bytes`, Deno);
    open.unshift(files);
    const index = openSqliteIndex(new DatabaseSync(`${folder}/index.sqlite`));
    const onRebuild = (packs: number, values: number) =>
      log(`making the index anew: ${values} values in ${packs} packs`);
    open.unshift(index);
    const bytes = await openPacked({ bytes: files, names, index, onRebuild });
    open[0] = bytes; // which disposes the index
    await buryCollector(names); // of which the lock is proof
    return { names, bytes, packs: bytes, [Symbol.asyncDispose]: async () => await disposeAll(open) };
  } catch (error) {
    await disposeAll(open);
    throw error;
  }
}

async function checkFormat(path: string): Promise<void> {
  try {
    const format = await Deno.readTextFile(path);
    if (format === FORMAT) return;
    throw new UsageError(
      `Cannot open the store: ${path} says ${JSON.stringify(format.slice(0, 80))}, and this firn reads ${
        JSON.stringify(FORMAT)
      }`,
    );
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await Deno.writeTextFile(path, FORMAT);
  }
}

async function disposeAll(resources: readonly AsyncDisposable[]): Promise<void> {
  for (const resource of resources) await resource[Symbol.asyncDispose]();
}
