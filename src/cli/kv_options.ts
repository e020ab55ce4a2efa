/** Options of a store in Deno KV. */
import { isKv } from "./kv_address.ts";
import { UsageError } from "./usage.ts";

/** Where packs are, for a store at this address. Throws {@link UsageError}. */
export function parsePacks(packs: string | undefined, store: string): string | undefined {
  if (packs === undefined || isKv(store)) return packs;
  throw new UsageError(`Cannot use --packs with the store ${store}: it is for a store in Deno KV`);
}

/** Seconds as milliseconds. Throws {@link UsageError}. */
export function parseKvTimeout(text: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) > 0) return Number(text) * 1000;
  throw new UsageError(`Cannot use --kv-timeout ${text}: want a number of seconds, 1 to 9999`);
}
