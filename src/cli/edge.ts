/**
 * The endpoint that `deno serve mod.ts` and Deno Deploy run: the store that `firn serve` serves, but native gRPC, on a platform that
 * listens by itself, starts this at a request and stops it at any moment. It is configured by the environment alone, and asks for
 * the network, the environment, and the files beside it. Everything is opened at the first request that comes.
 */
import { RemoteError } from "../errors.ts";
import { createServer, type Peer, type Server } from "../server/app.ts";
import { openAccess } from "./access.ts";
import { takesTokens } from "./access_options.ts";
import { Readiness } from "../server/readiness.ts";
import { readEdgeOptions } from "./edge_options.ts";
import { openHashWorkers } from "./hash_workers.ts";
import { Operator } from "./operator.ts";
import { readPage } from "./page_files.ts";
import { readSigningKeys } from "./signing_keys.ts";
import { openStore } from "./store.ts";
import { UsageError } from "./usage.ts";

/** Milliseconds after a failure to open in which the next requests get its answer: the store is not asked for each of them. */
const REST_MS = 1000;
/** Milliseconds a request waits until everything is open. */
const PATIENCE_MS = 20_000;

/** Answers requests with what is opened when the first comes, and once for all that come meanwhile. */
export class Endpoint {
  #open: () => Promise<Server>;
  #log: (line: string) => void;
  #server: Server | undefined;
  #opening: Promise<void> | undefined;
  #failed: { readonly error: unknown; readonly at: number } | undefined;

  constructor(open: () => Promise<Server>, log: (line: string) => void) {
    this.#open = open;
    this.#log = log;
  }

  /** Answers a request. `address` is where it came from, if the platform tells. */
  readonly fetch = (request: Request, address?: string): Response | Promise<Response> =>
    this.#server ? this.#server.fetch(request, peerAt(address)) : this.#fetchOnceOpen(request, address);

  async #fetchOnceOpen(request: Request, address: string | undefined): Promise<Response> {
    if (this.#failed && performance.now() - this.#failed.at >= REST_MS) this.#failed = undefined;
    if (!this.#failed) {
      this.#opening ??= this.#openOnce().finally(() => this.#opening = undefined);
      await within(PATIENCE_MS, this.#opening);
    }
    if (this.#server) return await this.#server.fetch(request, peerAt(address));
    await request.body?.cancel();
    return refusal(this.#failed?.error);
  }

  async #openOnce(): Promise<void> {
    try {
      this.#server = await this.#open();
    } catch (error) {
      this.#failed = { error, at: performance.now() };
      const expected = error instanceof UsageError || error instanceof RemoteError;
      this.#log(expected ? error.message : (error as Error).stack ?? String(error));
    }
  }
}

/** Nobody counts as near: a platform may have a proxy of its own on the loopback of this machine. */
function peerAt(address: string | undefined): Peer {
  return { address, local: false };
}

/** What a client is told; the operator reads the rest in the log. */
function refusal(error: unknown): Response {
  const [status, text] = error instanceof UsageError
    ? [500, "This endpoint is not configured: its log says what is missing"]
    : [503, "This endpoint cannot open its store now: ask again later"];
  const headers: Record<string, string> = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
  };
  if (status === 503) headers["retry-after"] = "5";
  return new Response(`${text}\n`, { status, headers });
}

async function within(milliseconds: number, promise: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, milliseconds));
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function log(line: string): void {
  console.error(`${new Date().toISOString()} ${line}`);
}

/** Opens what the environment says. Throws {@link UsageError} for what cannot be. */
async function openServer(): Promise<Server> {
  const options = readEdgeOptions((name) => Deno.env.get(name));
  const { hashWorkers, watching, access } = options;
  const operator = new Operator(watching);
  const { watch, limits, metrics } = operator;
  const pool = hashWorkers > 0 ? openHashWorkers(hashWorkers) : undefined;
  // The store first: until it answers there is time to load what else is needed.
  const opening = openStore(options, operator.log, pool, operator.storeHooks);
  opening.catch(() => {}); // heard of below, which may be later than it fails
  const others = Promise.all([
    import("../adapters/codecs/codecs.ts"),
    import("../adapters/native/hashes.ts"),
    readSigningKeys(options),
    readPage("asked"),
  ]);
  try {
    const [{ openCodecs }, { nativeHashes }, secretKeys, page] = await others;
    const store = await opening;
    if (!takesTokens(access)) {
      operator.log("nobody may write: set FIRN_TOKEN_KEY to a token key, which firn token key makes");
    }
    operator.readStore(store.packs, pool ?? { waiting: 0 });
    const server = createServer({
      ...store,
      ...options,
      secretKeys,
      access: await openAccess(access, store.names, operator.log),
      watch,
      limits,
      readiness: new Readiness({ look: () => store.names.get("ready"), log: operator.log }),
      metrics: () => metrics.text(),
      stallMs: watching.stallMs,
      trustedProxies: access.trustedProxies,
      codec: openCodecs(),
      hashes: pool ?? nativeHashes,
      page,
      upgradeWebSocket: (request, protocol) => Deno.upgradeWebSocket(request, { protocol }),
      log: operator.log,
    });
    operator.readServer(server);
    return server;
  } catch (error) {
    // What did open is let go of: a later request opens it again.
    await Promise.allSettled([
      opening.then((store) => store[Symbol.asyncDispose]()),
      others,
      pool?.[Symbol.asyncDispose](),
      operator[Symbol.asyncDispose](),
    ]);
    throw error;
  }
}

/** The endpoint of this process. */
export const { fetch } = new Endpoint(openServer, log);
