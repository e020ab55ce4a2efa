/**
 * Addresses of Deno KV:
 *
 *   kv:                          the platform's own
 *   kv:PATH                      a file; :memory: for none
 *   kv+http://HOST:PORT[/PATH]   a server that speaks KV Connect, with the token in DENO_KV_ACCESS_TOKEN
 *   kv+https://…                 the same over TLS
 */
import { UsageError } from "./usage.ts";

/** What `Deno.openKv` is given. */
export interface KvAddress {
  /** `undefined`: the platform's own. */
  readonly path: string | undefined;
  /** Whether it is a server. */
  readonly remote: boolean;
}

/** Whether a store with this address is in Deno KV. */
export function isKv(address: string): boolean {
  return /^kv[:+]/.test(address);
}

/** Reads the address of a store in Deno KV. Throws {@link UsageError}. */
export function parseKvAddress(address: string): KvAddress {
  if (address.startsWith("kv:")) {
    const path = address.slice("kv:".length);
    if (!/^[a-z]+:\/\//i.test(path)) return { path: path === "" ? undefined : path, remote: false };
  }
  const url = address.slice("kv+".length);
  if (!/^kv\+https?:\/\/[^/]/.test(address) || !URL.canParse(url) || new URL(url).username) {
    throw new UsageError(
      `Cannot open the store ${address}: want kv:, kv:PATH, kv+http://HOST:PORT or kv+https://HOST`,
    );
  }
  return { path: url, remote: true };
}
