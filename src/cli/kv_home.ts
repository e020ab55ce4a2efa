/**
 * A store in Deno KV, which several processes that know nothing of each other may have open: nothing of it is on this machine.
 */
import { openDenoKv } from "../adapters/deno_kv/deno_kv_store.ts";
import { RemoteError } from "../errors.ts";
import { parseKvAddress } from "./kv_address.ts";
import { disposeAll, type OpenHome } from "./open_home.ts";
import { UsageError } from "./usage.ts";

/** Opens a store in Deno KV. Throws `RemoteError` when its server is not there, {@link UsageError} when it refuses. */
export async function openKvHome(address: string): Promise<OpenHome> {
  const kv = await openKv(address);
  const names = openDenoKv(kv);
  const bytes = openDenoKv(kv, { prefix: "firn-bytes" });
  const open = [bytes, names, { [Symbol.asyncDispose]: () => Promise.resolve(kv.close()) }];
  return { names, bytes, alone: false, [Symbol.asyncDispose]: async () => await disposeAll(open) };
}

async function openKv(address: string): Promise<Deno.Kv> {
  const { path, remote } = parseKvAddress(address);
  try {
    return await Deno.openKv(path);
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
