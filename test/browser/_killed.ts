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

/** Kills of one browser's profile, after which its store is looked at. */
const KILLS = 2;
/** Profiles of which a browser may say that it deleted their databases. */
const MOST_GIVEN_UP = 6;

/**
 * Kills browsers in the middle of writing, in so many profiles that are looked at; returns how many values were stored.
 *
 * Chromium itself takes one database in some twenty that were being written when it was killed for damaged, and deletes it as it
 * opens it, whatever had been written there (seen with 156: a log that ended in the middle of a record and was appended to, and
 * "Internal inconsistency"). It says so, and then nothing can be there: such a profile does not count, and the store must be new.
 */
export async function killRounds(
  start: (profile: string, url: string) => BrowserProcess,
  profiles: number,
): Promise<number> {
  let stored = 0;
  let givenUp = 0;
  for (let looked = 0; looked < profiles;) {
    const values = await killInProfile(start, looked);
    if (values === undefined) {
      givenUp++;
      console.log(`the browser gave up its database (${givenUp})`);
      assert.ok(givenUp <= MOST_GIVEN_UP, "the browser gives up its database again and again");
    } else {
      stored += values;
      looked++;
    }
  }
  return stored;
}

/** How many values were stored in one profile, all of them found again; `undefined` if the browser deleted the database. */
async function killInProfile(
  start: (profile: string, url: string) => BrowserProcess,
  profileNumber: number,
): Promise<number | undefined> {
  const stored: ["name" | "value", number][] = [];
  const deleted: number[] = [];
  const checked = Promise.withResolvers<Checked>();
  checked.promise.catch(() => {}); // it is heard of where it is waited for
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
    for (let kill = 0; kill < KILLS; kill++) {
      enough = Promise.withResolvers();
      wanted = stored.length + 40 + 37 * (profileNumber + kill);
      await using browser = start(profile, `${urlOf(server)}/#write-${1 + kill * 100_000}`);
      await inTime(enough.promise, "stores nothing");
      await browser.kill(); // with two dozen values on their way
      if (browser.gaveUpDatabase) return undefined;
    }
    await using browser = start(profile, `${urlOf(server)}/#check`);
    const { created, missing, listed } = await inTime(checked.promise, "checks nothing");
    await browser.kill();
    assert.equal(created, browser.gaveUpDatabase, "only a database that the browser deleted is new");
    if (created) return undefined;
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
