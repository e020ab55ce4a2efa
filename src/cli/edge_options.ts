/**
 * The options of the endpoint that a platform runs: those of `serve`, from the environment alone. What is about listening is the
 * platform's matter there and is not looked at; where the store lives must outlast a process that is stopped at any moment.
 */
import { isKv } from "./kv_address.ts";
import { readOptions, type ServeOptions } from "./serve_options.ts";
import { UsageError } from "./usage.ts";

/** What `serve` reads of the environment and an endpoint does not. */
const OF_LISTENING =
  /^FIRN_(LISTEN|CONTENT_LISTEN|CONTENT_ORIGIN|GRPC_LISTEN|GRPC_TLS_CERT|GRPC_TLS_KEY|METRICS_LISTEN|NEAR)$/;

/**
 * What is taken when the environment does not say: threads cost memory, of which such platforms give little, and what is sent is
 * counted.
 */
const DEFAULTS: Readonly<Record<string, string>> = {
  FIRN_STORE: "kv:",
  FIRN_HASH_WORKERS: "0",
  FIRN_NAR_COMPRESSION: "zstd",
};

/** The options of an endpoint. Throws {@link UsageError} for what cannot be done there. */
export function readEdgeOptions(env: (name: string) => string | undefined): ServeOptions {
  const options = readOptions([], (name) => {
    if (OF_LISTENING.test(name)) return undefined;
    const value = env(name);
    return value === undefined || value === "" ? DEFAULTS[name] : value;
  })!;
  const { store, packs } = options;
  if (!isKv(store) && store !== "memory:") {
    throw new UsageError(
      `Cannot open the store ${store} at an endpoint: want FIRN_STORE=kv: (the platform's own), kv+https://HOST or kv+http://HOST:PORT`,
    );
  }
  if (packs !== undefined && !packs.startsWith("s3:")) {
    throw new UsageError(`Cannot keep packs in ${packs} at an endpoint: want FIRN_PACKS=s3://BUCKET`);
  }
  return options;
}
