/**
 * The HTTP application: routes over a store, as one `fetch` handler that any platform can serve.
 */
import { Hono } from "hono";
import { Budget } from "../bytes/budget.ts";
import type { Node } from "../castore/node.ts";
import { contentRoutes } from "./content.ts";
import type { ServerContext, ServerOptions } from "./context.ts";
import { crossOrigin, ownPagesWrite } from "./cors.ts";
import { Door, HttpAsking } from "./door.ts";
import type { Rpc } from "./grpc/call_door.ts";
import { callRoutes, rpcOver } from "./grpc/web.ts";
import { webSocketRoutes } from "./grpc/websocket.ts";
import { tokenRoutes } from "./access/token_routes.ts";
import { errorResponse, statusOf } from "./http_error.ts";
import { KeptNarInfos } from "./kept_nar_infos.ts";
import { landingPage } from "./landing_page.ts";
import { nixCacheRoutes, text } from "./nix_cache.ts";
import { notFound } from "./not_found.ts";
import { facts, pageRoutes } from "./page.ts";
import { type Peer, UNKNOWN_PEER } from "./peer.ts";
import { PressedNars } from "./pressed_nars.ts";
import { Readiness } from "./readiness.ts";
import { RootOwners } from "./root_owners.ts";
import { SlowReaders } from "./slow_readers.ts";
import { METRICS_TYPE } from "./watch/metrics.ts";
import { provenPathInfos } from "../store/prove.ts";
import { contentSite, storeSiteRoutes } from "./store_site.ts";
import { sideFileRoutes } from "./side_files.ts";
import { behind, failed, keptByNobodyElse } from "./visitors.ts";

export type { ServerOptions } from "./context.ts";
export type * from "./door.ts";
export type { Rpc } from "./grpc/call_door.ts";
export type { Peer } from "./peer.ts";
export type { PageEncoding, PageFiles } from "./page.ts";

/** Bytes of small files of all uploads that may be on their way to the store at once. */
const IN_FLIGHT = 16 * 1024 * 1024;
const TIB = 1024 ** 4;
const ALLOWED = ["GET", "HEAD", "PUT", "OPTIONS"];

/**
 * A store that is served: to the platform's own listener, and to one of HTTP/2 that can end a gRPC call. Disposing ends what goes on
 * behind requests, which must be over before the store is closed.
 */
export interface Server extends AsyncDisposable {
  /** Answers everything but native gRPC. Who sent it is what the platform tells; without, it is nobody near. */
  readonly fetch: (request: Request, peer?: Peer) => Response | Promise<Response>;
  /** Answers remote calls in all their protocols. */
  readonly rpc: Rpc;
  /** Answers an origin of its own, where contents of store paths may run scripts. */
  readonly contents: (request: Request, peer?: Peer) => Response | Promise<Response>;
  /** Whether NARs can be pressed, for which the store must keep frames. */
  readonly presses: boolean;
  /** NARs that are being pressed, or wait for that. */
  readonly pressing: number;
}

/** The application over a store. Its `fetch` is the handler. */
export function createApp(options: ServerOptions): Hono {
  const { fetch } = createServer(options);
  const app = new Hono();
  app.all("*", (c) => fetch(c.req.raw));
  return app;
}

/** The application over a store and the handler of its remote calls, which share what is bounded. */
export function createServer(options: ServerOptions): Server {
  const context = contextOf(options);
  const { narInfos, logFailure, readiness } = context;
  const door = new Door(options, isPageOf(context));
  const rpc = rpcOver(context, door);
  const readers = new SlowReaders(context.stallMs);
  const application = behind(door, appOver(context, rpc).fetch, logFailure, readers);
  const fetch = (request: Request, peer: Peer = UNKNOWN_PEER) => {
    // What is asked for most often: finding its route and opening it to other origins would cost more than the answer.
    const narInfo = door.opensReads && request.method === "GET" ? narInfos?.find(request.url) : undefined;
    if (!narInfo) return readiness.answer(request) ?? application(request, peer);
    const { text, headers } = narInfo;
    if (door.watch) door.answered(new HttpAsking(request, peer, door), "narinfo", 200, text.length);
    return new Response(text, { headers });
  };
  return {
    fetch,
    rpc,
    contents: behind(door, contentSite(context).fetch, logFailure, readers),
    presses: context.pressed !== undefined,
    get pressing() {
      return context.pressed?.pressing ?? 0;
    },
    [Symbol.asyncDispose]: async () => await context.pressed?.[Symbol.asyncDispose](),
  };
}

/** Paths that are files of the page. */
function isPageOf({ page }: ServerContext): (path: string) => boolean {
  return (path) => page?.files.has(path.slice(1)) ?? false;
}

function contextOf(options: ServerOptions): ServerContext {
  const narInfos = options.alone ? new KeptNarInfos() : undefined;
  const owners = new RootOwners();
  const log = options.log ?? (() => {});
  const logFailure = options.watch?.tells ? () => {} : log;
  const pressed = PressedNars.over({
    ...options,
    owners,
    log,
    eager: options.narCompression === "zstd",
    onDropped: () => narInfos?.clear(),
  });
  const heard = narInfos?.watch(options.pathInfos) ?? options.pathInfos;
  const all = {
    alone: false,
    secretKeys: [],
    priority: 40,
    wantMassQuery: true,
    strictReferences: false,
    sizes: "documented" as const,
    narCompression: "none" as const,
    writingOrigins: [],
    maxNarSize: TIB,
    maxMessageBytes: 4 * 1024 * 1024,
    stallMs: 300_000,
    ...options,
    log,
    narInfos,
    owners,
    pressed,
    pathInfos: pressed?.watch(heard) ?? heard,
    budget: new Budget(IN_FLIGHT),
    readiness: options.readiness ?? readinessOf(options),
    logFailure,
    pressedFile: pressed && ((node: Node) => pressed.ofReceived(node)),
  };
  return { ...all, provenPathInfos: provenPathInfos(all) };
}

/** A look at the store is a look for a name that it does not have. */
function readinessOf({ names, stopping, log }: ServerOptions): Readiness {
  return new Readiness({ look: () => names.get("ready"), stopping, log });
}

function appOver(context: ServerContext, rpc: Rpc): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    const status = statusOf(error);
    const why = status === 500 ? error.stack ?? error.message : error.message;
    failed(c.req.raw, error);
    context.logFailure(`refused ${c.req.method} ${c.req.path}: ${status} ${why}`);
    return errorResponse(error);
  });
  app.use(ownPagesWrite(context));
  if (context.access && !context.access.opensReads) app.use(keptByNobodyElse);
  webSocketRoutes(app, rpc, context); // before CORS, for the answer of an upgrade must stay as the platform made it
  app.use(crossOrigin);
  if (context.page) pageRoutes(app, context.page);
  else app.get("/", (c) => c.html(landingPage(new URL(c.req.url).origin, context)));
  // How a page knows that a cache is more than one: that contents can be asked for by what is lacking (`bulk.ts`).
  app.get("/firn.json", (c) => c.json(facts(context), 200, { "cache-control": "no-cache" }));
  const { metrics } = context;
  if (metrics) app.get("/metrics", () => text(metrics(), METRICS_TYPE));
  nixCacheRoutes(app, context);
  sideFileRoutes(app, context);
  contentRoutes(app, context);
  storeSiteRoutes(app, context, "still");
  tokenRoutes(app, context);
  callRoutes(app, rpc, context);
  app.notFound((c) =>
    ALLOWED.includes(c.req.method)
      ? notFound()
      : new Response("405 Method Not Allowed\n", { status: 405, headers: { allow: ALLOWED.join(", ") } })
  );
  return app;
}
