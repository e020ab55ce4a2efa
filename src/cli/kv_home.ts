/**
 * A store in Deno KV, which several processes that know nothing of each other may have open: nothing of it is on this machine.
 * Names, the index of packs and small packs are in Deno KV; large packs, too, unless an address says where else.
 */
import { openDenoKv } from "../adapters/deno_kv/deno_kv_store.ts";
import { openKvIndex } from "../adapters/deno_kv/kv_index.ts";
import { KV_PACKING } from "../adapters/deno_kv/kv_packs.ts";
import type { KvLike } from "../adapters/deno_kv/records.ts";
import { watchKv } from "../adapters/deno_kv/watched_kv.ts";
import { openPacked } from "../combinators/packed.ts";
import { RemoteError, StoreVersionError } from "../errors.ts";
import { parseKvAddress } from "./kv_address.ts";
import { openFrames } from "./frames.ts";
import { disposeAll, type HomeOptions, type OpenHome } from "./open_home.ts";
import { UsageError } from "./usage.ts";

/** Opens a store in Deno KV. Throws `RemoteError` when its server is not there, {@link UsageError} when it refuses. */
export async function openKvHome(address: string, options: HomeOptions): Promise<OpenHome> {
  const { kv: database, remote } = await openKv(address);
  const open: AsyncDisposable[] = [{ [Symbol.asyncDispose]: () => Promise.resolve(database.close()) }];
  try {
    const { onOperation, kvTimeoutMs: timeoutMs } = options;
    const server = remote ? address : undefined;
    const kv: KvLike = remote || onOperation
      ? watchKv(database, { onOperation, server, timeoutMs })
      : database;
    const names = openDenoKv(kv);
    open.unshift(names);
    const elsewhere = options.packs === undefined
      ? undefined
      : await (await import("./packs_address.ts")).openPacks(options.packs, options);
    if (elsewhere) open.unshift(elsewhere.bytes);
    const frames = openFrames(options.frames);
    open.unshift(frames);
    const index = await openKvIndex(kv, { packs: elsewhere?.bytes });
    const packing = elsewhere?.packing ?? KV_PACKING;
    const bytes = await openPacked({ bytes: index.bytes, names, index, frames, ...packing });
    open.unshift(bytes);
    return {
      names,
      bytes,
      packs: bytes,
      alone: false,
      [Symbol.asyncDispose]: async () => await disposeAll(open),
    };
  } catch (error) {
    await disposeAll(open);
    // Said of the packs, it is of the command line.
    throw error instanceof StoreVersionError ? new UsageError(error.message) : error;
  }
}

async function openKv(address: string): Promise<{ kv: Deno.Kv; remote: boolean }> {
  const { path, remote } = parseKvAddress(address);
  try {
    return { kv: await Deno.openKv(path), remote };
  } catch (cause) {
    const why = (cause as Error).message;
    if (/DENO_KV_ACCESS_TOKEN/.test(why)) {
      throw new UsageError(`Cannot open the store ${address}: set DENO_KV_ACCESS_TOKEN to its access token`);
    }
    if (/\bstatus 40[13]\b/.test(why)) {
      throw new UsageError(`Cannot open the store ${address}: it refuses the token in DENO_KV_ACCESS_TOKEN`);
    }
    if (remote) throw new RemoteError(address, `Cannot reach the store ${address}: ${why}`, { cause });
    throw new UsageError(`Cannot open the store ${address}: ${why}`);
  }
}
