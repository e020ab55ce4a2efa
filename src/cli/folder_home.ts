/**
 * A store in a folder, which one process has open at a time:
 *
 *   lock          held while a process has the store open
 *   format        `firn-store 1`
 *   names.kv      path infos, records of uploads, small packs
 *   bytes/        packs, a file each
 *   index.sqlite  where in the packs each value lies; made anew from the packs when missing
 */
import { DatabaseSync } from "node:sqlite";
import { openDenoKv } from "../adapters/deno_kv/deno_kv_store.ts";
import { openFs } from "../adapters/fs/fs_store.ts";
import { lockFile } from "../adapters/fs/lock.ts";
import { openSqliteIndex } from "../adapters/sqlite/sqlite_index.ts";
import { openPacked, type PackedStore } from "../combinators/packed.ts";
import { buryCollector } from "../store/collections.ts";
import { openFrames } from "./frames.ts";
import { disposeAll, type HomeOptions, type OpenHome } from "./open_home.ts";
import { UsageError } from "./usage.ts";

const FORMAT = "firn-store 1\n";

/** Opens the store in a folder, which is made when missing. Throws `StoreBusyError` while another process has it open. */
export async function openFolder(
  folder: string,
  log: (line: string) => void,
  options: HomeOptions = {},
): Promise<OpenHome & { readonly packs: PackedStore }> {
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
    const names = openDenoKv(kv, { mostChecks: 100, onOperation: options.onOperation }); // a file allows as many checks
    open.unshift(names);
    const files = await openFs(`${folder}/bytes`, Deno);
    open.unshift(files);
    const frames = openFrames(options.frames);
    open.unshift(frames);
    const index = openSqliteIndex(new DatabaseSync(`${folder}/index.sqlite`));
    const onRebuild = (packs: number, values: number) =>
      log(`making the index anew: ${values} values in ${packs} packs`);
    open.unshift(index);
    const bytes = await openPacked({ bytes: files, names, index, frames, onRebuild });
    open[0] = bytes; // which disposes the index
    await buryCollector(names); // of which the lock is proof
    return {
      names,
      bytes,
      packs: bytes,
      alone: true,
      [Symbol.asyncDispose]: async () => await disposeAll(open),
    };
  } catch (error) {
    await disposeAll(open);
    throw error;
  }
}

/** Opens the store in a folder where there is one. Throws as {@link openFolder}. */
export async function openFolderThere(
  folder: string,
  log: (line: string) => void,
): Promise<OpenHome & { readonly packs: PackedStore }> {
  try {
    await Deno.stat(`${folder}/format`);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound ? "there is none" : (cause as Error).message;
    throw new UsageError(`Cannot open the store ${folder}: ${why}; --store says where it is`);
  }
  return await openFolder(folder, log);
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
