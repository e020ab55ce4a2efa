/** `firn serve`: a store over HTTP and gRPC. */
import { openCodecs } from "../adapters/codecs/codecs.ts";
import { nativeHashes } from "../adapters/native/hashes.ts";
import { Readiness } from "../server/readiness.ts";
import { figuresSite } from "../server/watch/figures_site.ts";
import { openHashPool } from "../hash/hash_pool.ts";
import { parseSecretKey, type SecretKey } from "../nix/signature.ts";
import { createServer } from "../server/app.ts";
import { openAccess } from "./access.ts";
import { tellAccess } from "./access_options.ts";
import { listenGrpc, listenHttp, type Listening, UnderWay } from "./listening.ts";
import { isRemote, parseTcp, readOptions, SERVE_HELP, type ServeOptions } from "./serve_options.ts";
import { Operator } from "./operator.ts";
import { readPage } from "./page_files.ts";
import { openStore } from "./store.ts";
import { UsageError } from "./usage.ts";

/** Serves until a signal comes. */
export async function serve(args: readonly string[]): Promise<void> {
  const options = readOptions(args, (name) => Deno.env.get(name));
  if (!options) {
    console.log(SERVE_HELP);
    return;
  }
  const { watching } = options;
  await using operator = new Operator(watching);
  const { log, watch, limits, metrics } = operator;
  const secretKeys = await Promise.all(options.secretKeys.map(readSecretKey));
  await using pool = openHashPool({
    hashes: nativeHashes,
    spawn: spawnHashWorker,
    workers: options.hashWorkers,
  });
  await using store = await openStore(options, log, pool);
  const access = await openAccess(options.access, store.names, log);
  operator.readStore(store.packs, pool);
  const underWay = new UnderWay();
  const stopping = new AbortController();
  const page = await readPage(); // nothing is waited for between listening and being able to answer
  const readiness = new Readiness({
    look: () => store.names.get("ready"),
    stopping: stopping.signal,
    log,
  });
  const servers: Listening[] = [];
  const content = options.contentListen &&
    listenHttp(options.contentListen, (request, peer) => contents(request, peer), underWay, log);
  if (content) servers.push(content);
  const { fetch, rpc, contents } = createServer({
    ...store,
    ...options,
    contentOrigin: options.contentOrigin ?? content?.address,
    secretKeys,
    access,
    watch,
    limits,
    readiness,
    metrics: () => metrics.text(),
    stallMs: watching.stallMs,
    trustedProxies: options.access.trustedProxies,
    alone: !isRemote(options.store), // a folder is locked, memory is our own; others may write to another server
    codec: openCodecs(),
    hashes: pool,
    page,
    upgradeWebSocket: underWay.upgradeWebSocket,
    stopping: stopping.signal,
    log,
  });
  try {
    if (watching.metricsListen !== undefined) {
      const figures = figuresSite(readiness, metrics);
      const listening = listenHttp(parseTcp(watching.metricsListen), figures, underWay, log);
      servers.push(listening);
      log(`figures on ${listening.address}/metrics`);
    }
    if (options.grpcListen) servers.push(await listenGrpc(options, rpc, operator));
    servers.push(listenHttp(options.listen, fetch, underWay, log));
  } catch (error) {
    for (const server of servers) server.stop();
    throw error;
  }
  if (content) console.log(`firn serves contents on ${content.address}`);
  if (options.grpcListen) console.log(`firn serves native gRPC on ${servers.at(-2)!.address}`);
  console.log(`firn serves on ${servers.at(-1)!.address}`);
  log(tellAccess(options.access, hostsOf(options)));
  onSignal((signal) => {
    log(`${signal}: finishing what is under way`);
    stopping.abort();
    for (const server of servers) server.stop();
  });
  await Promise.all(servers.map(({ finished }) => finished));
  log("stopped");
}

/** Where writing may be asked for. */
function hostsOf({ listen, grpcListen }: ServeOptions): string[] {
  const grpc = grpcListen && ("path" in grpcListen ? "localhost" : grpcListen.hostname);
  return grpc === undefined ? [listen.hostname] : [listen.hostname, grpc];
}

function spawnHashWorker(): Worker {
  return new Worker(new URL("hash_worker.ts", import.meta.url), { type: "module" });
}

async function readSecretKey(path: string): Promise<SecretKey> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw new UsageError(`Cannot read the secret key ${path}: ${(cause as Error).message}`);
  }
  try {
    return await parseSecretKey(text);
  } catch (cause) {
    throw new UsageError(`Cannot use the secret key ${path}: ${(cause as Error).message}`);
  }
}

/** Calls back at the first signal to stop; later ones change nothing. */
function onSignal(stop: (signal: string) => void): void {
  let told = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => {
      if (told) return;
      told = true;
      stop(signal);
    });
  }
}
