/** A browser that is killed while a page of it stores values, again and again: what was told to be stored must be there. */
import assert from "node:assert/strict";
import { bundle, servePage, urlOf } from "./_chromium.ts";
import type { BrowserProcess } from "./_process.ts";

/** Milliseconds that a browser may take to start and tell something. */
const PATIENCE = 90_000;

interface Checked {
  readonly created: boolean;
  readonly missing: unknown[];
  readonly listed: number;
}

/** Kills the browser so often; returns how many values were stored. */
export async function killRounds(
  start: (profile: string, url: string) => BrowserProcess,
  rounds: number,
): Promise<number> {
  const stored: ["name" | "value", number][] = [];
  const deleted: number[] = [];
  let checked = Promise.withResolvers<Checked>();
  let enough = Promise.withResolvers<void>();
  let wanted = Infinity;
  const server = servePage(await bundle(new URL("store_page.ts", import.meta.url)), {
    async handle(request, path) {
      if (path === "/all") return Response.json({ stored, deleted });
      if (request.method !== "POST") return new Response(null, { status: 404 });
      const said = await request.json();
      if (path === "/stored" && stored.push(said) >= wanted) enough.resolve();
      else if (path === "/deleted") deleted.push(...said);
      else if (path === "/checked") checked.resolve(said);
      else if (path === "/failure") {
        enough.reject(new Error(said.message));
        checked.reject(new Error(said.message));
      }
      return new Response();
    },
  });
  const profile = await Deno.makeTempDir();
  try {
    for (let round = 0; round < rounds; round++) {
      enough = Promise.withResolvers();
      wanted = stored.length + 40 + 37 * round;
      await using browser = start(profile, `${urlOf(server)}/#write-${1 + round * 100_000}`);
      await inTime(enough.promise, "stores nothing");
      await browser.kill(); // with two dozen values on their way
    }
    checked = Promise.withResolvers();
    await using _ = start(profile, `${urlOf(server)}/#check`);
    const { created, missing, listed } = await inTime(checked.promise, "checks nothing");
    assert.equal(created, false);
    assert.deepEqual(
      missing,
      [],
      `of ${stored.length} that were stored and ${deleted.length} that were deleted`,
    );
    assert.ok(listed >= stored.filter(([kind]) => kind === "value").length, `${listed} are listed`);
    return stored.length;
  } finally {
    await server.shutdown();
    await Deno.remove(profile, { recursive: true });
  }
}

async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the browser ${what}`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
