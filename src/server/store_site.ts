/**
 * Store paths of this server as a web site, at `/nix/store/…`: on the server's own origin without scripts, and, where the
 * operator gives it one, on an origin of its own with them. Rules and policies are in `store_pages.ts`.
 */
import { Hono } from "hono";
import { formatDigest } from "../castore/digest.ts";
import { MissingError } from "../errors.ts";
import { isHashPart, storePathBase } from "../nix/store_path.ts";
import { follow } from "../store/follow.ts";
import type { ServerContext } from "./context.ts";
import { errorResponse, statusOf } from "./http_error.ts";
import { failed } from "./visitors.ts";
import { notFound } from "./not_found.ts";
import { pathInfosFor } from "./access/reach.ts";
import { callerOf } from "./visitors.ts";
import { type Liveliness, storePage, type StorePagesOptions } from "./store_pages.ts";

/** Adds the routes. */
export function storeSiteRoutes(app: Hono, context: ServerContext, liveliness: Liveliness): void {
  const forAll = pagesOver(context, liveliness);
  app.get("/nix/store/*", async (c) => {
    const caller = callerOf(c);
    const pathInfos = pathInfosFor(caller, context.pathInfos);
    const options = caller.reads ? pagesOver({ ...context, pathInfos }, liveliness) : forAll;
    return await storePage(c.req.raw, options) ?? notFound();
  });
}

/** The application of an origin that has nothing but contents. */
export function contentSite(context: ServerContext): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    failed(c.req.raw, error);
    context.logFailure(
      `refused ${c.req.method} ${c.req.path} of the content site: ${statusOf(error)} ${error.message}`,
    );
    return errorResponse(error);
  });
  storeSiteRoutes(app, context, "scripts");
  app.notFound(() => notFound());
  return app;
}

function pagesOver(
  { pathInfos, directories, blobs, logFailure }: ServerContext,
  liveliness: Liveliness,
): StorePagesOptions {
  return {
    liveliness,
    log: logFailure,
    find: async (base, names) => {
      const hashPart = base.slice(0, 32);
      const path = isHashPart(hashPart) ? await pathInfos.get(hashPart) : undefined;
      if (!path || storePathBase(path.storePath) !== base) return undefined;
      const place = await follow(path, names, { directories, find: (hashPart) => pathInfos.get(hashPart) });
      if (!place) return undefined;
      const { node } = place;
      return {
        node,
        ...(node.type === "directory" && {
          items: async () => {
            const directory = await directories.get(node.digest);
            if (!directory) throw new MissingError("directory", formatDigest(node.digest));
            return directory.items;
          },
        }),
        async *read(file, range) {
          const blob = await blobs.open(file.digest, { range });
          if (!blob) throw new MissingError("blob", formatDigest(file.digest));
          yield* blob;
        },
      };
    },
  };
}
