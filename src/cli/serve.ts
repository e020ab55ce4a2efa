/** `firn serve`: a store over HTTP and gRPC. */
import { openCodecs } from "../adapters/codecs/codecs.ts";
import { Readiness } from "../server/readiness.ts";
import { figuresSite } from "../server/watch/figures_site.ts";
import { createServer } from "../server/app.ts";
import { openAccess } from "./access.ts";
import { tellAccess } from "./access_options.ts";
import { openHashWorkers } from "./hash_workers.ts";
import { listenGrpc, listenHttp, type Listening, UnderWay } from "./listening.ts";
import { parseTcp, readOptions, SERVE_HELP, type ServeOptions } from "./serve_options.ts";
import { Operator } from "./operator.ts";
import { readPage } from "./page_files.ts";
import { readSigningKeys } from "./signing_keys.ts";
import { openStore } from "./store.ts";
import { untilThere } from "./until_there.ts";

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
  const secretKeys = await readSigningKeys(options);
  await using pool = openHashWorkers(options.hashWorkers);
  await using store = await untilThere(() => openStore(options, log, pool, operator.storeHooks), log);
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
    listenHttp(options.contentListen, (request, peer) => server.contents(request, peer), underWay, log);
  if (content) servers.push(content);
  await using server = createServer({
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
    codec: openCodecs(),
    hashes: pool,
    page,
    upgradeWebSocket: underWay.upgradeWebSocket,
    stopping: stopping.signal,
    log,
  });
  operator.readServer(server);
  const { fetch, rpc } = server;
  if (options.narCompression === "zstd" && !server.presses) {
    log("narinfos offer NARs uncompressed: this store keeps no zstd frames");
  }
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
