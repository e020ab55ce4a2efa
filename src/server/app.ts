/**
 * The HTTP application: routes over a store, as one `fetch` handler that any platform can serve.
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import { Budget } from "../bytes/budget.ts";
import type { ServerContext, ServerOptions } from "./context.ts";
import { errorResponse, statusOf } from "./http_error.ts";
import { landingPage } from "./landing_page.ts";
import { nixCacheRoutes, notFound } from "./nix_cache.ts";
import { sideFileRoutes } from "./side_files.ts";

export type { ServerOptions } from "./context.ts";

/** Bytes of small files of all uploads that may be on their way to the store at once. */
const IN_FLIGHT = 16 * 1024 * 1024;
const TIB = 1024 ** 4;
const ALLOWED = ["GET", "HEAD", "PUT", "OPTIONS"];

/** The application over a store. Its `fetch` is the handler. */
export function createApp(options: ServerOptions): Hono {
  const context: ServerContext = {
    secretKeys: [],
    priority: 40,
    wantMassQuery: true,
    strictReferences: false,
    sizes: "documented",
    maxNarSize: TIB,
    stallMs: 300_000,
    log: () => {},
    ...options,
    budget: new Budget(IN_FLIGHT),
  };
  const app = new Hono();
  app.use(cors({
    origin: "*",
    allowMethods: ["GET", "HEAD"],
    allowHeaders: ["Range", "If-None-Match", "If-Range"],
    exposeHeaders: ["Content-Length", "Content-Range", "Accept-Ranges", "ETag"],
    maxAge: 86_400,
  }));
  app.onError((error, c) => {
    const status = statusOf(error);
    const why = status === 500 ? error.stack ?? error.message : error.message;
    context.log(`refused ${c.req.method} ${c.req.path}: ${status} ${why}`);
    return errorResponse(error);
  });
  app.get("/", (c) => c.html(landingPage(new URL(c.req.url).origin, context)));
  nixCacheRoutes(app, context);
  sideFileRoutes(app, context);
  app.notFound((c) =>
    ALLOWED.includes(c.req.method)
      ? notFound()
      : new Response("405 Method Not Allowed\n", { status: 405, headers: { allow: ALLOWED.join(", ") } })
  );
  return app;
}
