/**
 * Opening what `serve` serves, by its address: a home on this machine (home.ts), or another server (remote_store.ts) with a home
 * in front of it that keeps here what was read there.
 */
import type { PackedStore } from "../combinators/packed.ts";
import { nearFar } from "../combinators/near_far.ts";
import type { BlobHashes } from "../hash/blob_hashes.ts";
import { type Services, servicesOver } from "../store/services.ts";
import { openHome } from "./home.ts";
import type { StoreHooks } from "./open_home.ts";
import { readToken } from "./shown_token.ts";
import { isRemote, type ServeOptions } from "./serve_options.ts";

/** A store that is open. Disposing it writes what waits and lets go of everything. */
export interface OpenStore extends Services, AsyncDisposable {
  /** Whether no other process can have it open. */
  readonly alone: boolean;
  /** The packs of a store on this machine, or of what is kept here of another's. */
  readonly packs?: PackedStore;
}

/** Which store, and how it is opened. */
type OpenOptions = Pick<
  ServeOptions,
  "store" | "storeTokenFile" | "near" | "packs" | "kvTimeoutMs" | "compress" | "hashWorkers"
>;

const STORE_TOKEN = { option: "--store-token-file", variable: "FIRN_STORE_TOKEN" };

/**
 * Opens a store. `log` is told what takes long, and what went wrong and was made up for. `hashes` says who hashes blobs of a store on
 * this machine; default this thread. `hooks` hear of what is asked of Deno KV and S3. Throws as `openHome`.
 */
export async function openStore(
  { store, storeTokenFile, near, packs, kvTimeoutMs, compress, hashWorkers }: OpenOptions,
  log: (line: string) => void,
  hashes?: BlobHashes,
  hooks: StoreHooks = {},
): Promise<OpenStore> {
  const frames = compress && { ...compress, workers: hashWorkers };
  if (!isRemote(store)) {
    const home = await openHome(store, log, { frames, packs, kvTimeoutMs, ...hooks });
    return {
      ...servicesOver(home, hashes),
      alone: home.alone,
      packs: home.packs,
      [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
    };
  }
  await using resources = new AsyncDisposableStack();
  const { openRemote } = await import("./remote_store.ts"); // most servers need none of it
  const token = await readToken(storeTokenFile, (name) => Deno.env.get(name), STORE_TOKEN);
  const far = resources.use(openRemote(store, token));
  const home = resources.use(await openHome(near!, log, { frames, ...hooks }));
  const kept = resources.move();
  return {
    ...nearFar({ near: home, far, log }),
    names: home.names,
    alone: false, // others may write to the other server
    packs: home.packs,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
