/**
 * Revoking tokens on a server that runs, for who has the right to administer:
 *
 *   PUT /token/revoked/ID[?until=SECONDS]   the token is no longer taken: by this server at once, by all on the store within five seconds.
 *                                           SECONDS since 1970 is when it expires, and its revocation may be forgotten
 *   GET /token/revoked                      JSON: [{"id":…,"revokedAt":…,"expiresAt":…}], times in milliseconds since 1970
 */
import type { Hono } from "hono";
import { MAX_LISTED, revocationsOver } from "../../store/revocations.ts";
import type { ServerContext } from "../context.ts";
import { HttpError } from "../http_error.ts";
import { callerOf } from "../visitors.ts";
import { checkRight } from "./reach.ts";

/** Adds the routes. */
export function tokenRoutes(app: Hono, { names, log, access }: ServerContext): void {
  const revocations = revocationsOver(names);
  app.put("/token/revoked/:id", async (c) => {
    const caller = callerOf(c);
    checkRight(caller, "admin"); // the door has asked already; this does not depend on how it reads paths
    const id = c.req.param("id");
    await revocations.add(id, parseUntil(c.req.query("until")));
    access?.revoked?.(id);
    await revocations.sweep();
    log(`revoked the token ${id}, for ${caller.name}`);
    return new Response(null, { status: 200 });
  });
  app.get("/token/revoked", async (c) => {
    checkRight(callerOf(c), "admin");
    const all = [];
    for await (const revocation of revocations.list()) {
      if (all.push(revocation) === MAX_LISTED) break;
    }
    return c.json(all, 200, { "cache-control": "no-store" });
  });
}

function parseUntil(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1000;
  throw new HttpError(400, `Cannot revoke until ${text.slice(0, 40)}: want seconds since 1970`);
}
