/** What may happen to a store in IndexedDB: other tabs, no room, upgrades, cleared data. In Chromium. */
import assert from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";
import { LOOK_MS, MOST_PIECES } from "../../src/adapters/idb/reserve.ts";
import { testNeeding } from "../needs.ts";
import {
  bundle,
  chromiumInstalled,
  launchChromium,
  launchChromiumIn,
  servePage,
  urlOf,
} from "./_chromium.ts";
import type { Tab, Thrown } from "./store_page.ts";

/** In the page. */
declare const tab: Tab;

/** A browser with one origin. */
class World implements AsyncDisposable {
  private constructor(
    readonly context: BrowserContext,
    readonly origin: string,
    readonly resources: AsyncDisposableStack,
  ) {}

  /** @param folder where the browser keeps what it stores; default its memory */
  static async open(folder?: string): Promise<World> {
    await using resources = new AsyncDisposableStack();
    const server = servePage(await bundle(new URL("store_page.ts", import.meta.url)));
    resources.defer(() => server.shutdown());
    if (folder !== undefined) {
      const context = await launchChromiumIn(folder);
      resources.defer(() => context.close());
      return new World(context, urlOf(server), resources.move());
    }
    const browser = await launchChromium();
    resources.defer(() => browser.close());
    return new World(await browser.newContext(), urlOf(server), resources.move());
  }

  /** Sets how much room the origin has, and tells how much it takes. */
  async quotaOf(page: Page): Promise<{ set(quotaSize: number): Promise<unknown>; usage(): Promise<number> }> {
    const { origin } = this;
    const devtools = await this.context.newCDPSession(page);
    return {
      set: (quotaSize) => devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize }),
      usage: async () => (await devtools.send("Storage.getUsageAndQuota", { origin })).usage,
    };
  }

  /** A new tab of the origin. */
  async tab(): Promise<Page> {
    const page = await this.context.newPage();
    page.on("pageerror", (error) => console.error("in the page:", error));
    await page.goto(this.origin);
    await page.waitForFunction("globalThis.tab !== undefined");
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

function browserTest(name: string, fn: (world: World) => Promise<void>): void {
  testNeeding(chromiumInstalled)({
    name: `idb in Chromium: ${name}`,
    sanitizeOps: false, // the browser is a process with pipes of its own
    sanitizeResources: false,
    async fn() {
      await using world = await World.open();
      await fn(world);
    },
  });
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const all = (from: number, to: number) => ({ done: range(from, to), thrown: [] });

function assertThrown(thrown: unknown, name: string, message: RegExp): void {
  assert.equal((thrown as Thrown).name, name, JSON.stringify(thrown));
  assert.match((thrown as Thrown).message, message);
}

browserTest("two tabs see what each other stores and deletes, and lose nothing", async (world) => {
  const [one, other] = [await world.tab(), await world.tab()];
  assert.equal(await one.evaluate(() => tab.open("s")), true);
  assert.equal(await other.evaluate(() => tab.open("s")), false);

  assert.deepEqual(await one.evaluate(() => tab.put(0, 300, 5000)), all(0, 300));
  assert.deepEqual(await other.evaluate(() => tab.read(0, 300, 5000)), all(0, 300));
  assert.deepEqual(await other.evaluate(() => tab.delete(0, 100)), all(0, 100));
  assert.deepEqual(await one.evaluate(() => tab.has(0, 300)), all(100, 300));
  // A put of what the other tab deleted a moment ago stores it, though this tab knew it to be there.
  assert.deepEqual(await other.evaluate(() => tab.delete(100, 150)), all(100, 150));
  assert.deepEqual(await one.evaluate(() => tab.put(100, 150, 5000)), all(100, 150));
  assert.deepEqual(await other.evaluate(() => tab.read(100, 150, 5000)), all(100, 150));

  // Both at once: the same values, others, and deletes.
  const [a, b] = await Promise.all([
    one.evaluate(async () => [await tab.put(1000, 1500, 3000), await tab.delete(1000, 1100)]),
    other.evaluate(async () => [await tab.put(1000, 1700, 3000), await tab.delete(1000, 1100)]),
  ]);
  assert.deepEqual([a[0], b[0]], [all(1000, 1500), all(1000, 1700)]);
  const third = await world.tab();
  await third.evaluate(() => tab.open("s"));
  for (const page of [one, other, third]) {
    assert.deepEqual(await page.evaluate(() => tab.has(1000, 1700)), all(1100, 1700));
    assert.deepEqual(await page.evaluate(() => tab.read(1100, 1700, 3000)), all(1100, 1700));
    assert.equal(await page.evaluate(() => tab.listed()), 200 + 600);
  }

  await Promise.all([one, other].map((page) => page.evaluate(() => tab.count(200))));
  assert.equal(await third.evaluate(() => tab.counted()), "400");
});

browserTest(
  "without room puts are refused with what to do, nothing stored is lost, and it goes on",
  async (world) => {
    const page = await world.tab();
    const devtools = await world.context.newCDPSession(page);
    const quota = (quotaSize?: number) =>
      devtools.send("Storage.overrideQuotaForOrigin", { origin: world.origin, quotaSize });
    await quota(38_000_000); // 8 of them for the reserve
    await page.evaluate(() => tab.open("s"));
    const { done, thrown } = await page.evaluate(() => tab.put(0, 80, 500_000));
    assert.ok(done.length < 60, "30 MB fit into 30");
    assert.ok(
      done.length > 40,
      `of 30 MB there is room for ${done.length} halves: ${JSON.stringify(thrown)}`,
    );
    assert.equal(thrown.length, 1);
    assertThrown(
      thrown[0],
      "StoreFullError",
      /^Cannot write to the store s: .*no more room; delete .* and try again$/,
    );
    // Small values too, in the end.
    const names = await page.evaluate(() => tab.putNames(0, 400, 100_000));
    for (const error of names.thrown) assertThrown(error, "StoreFullError", /no more room/);
    assert.ok(names.thrown.length > 0, "another 40 MB fit");
    assert.deepEqual((await page.evaluate(() => tab.read(0, 80, 500_000))).done, done);
    assert.deepEqual((await page.evaluate(() => tab.readNames(0, 400, 100_000))).done, names.done);
    // What makes room works when there is none, and is not undone.
    const [one, two, ...others] = done;
    assert.deepEqual((await page.evaluate((one) => tab.delete(one, one + 1), one)).done, [one]);
    const beside = await page.evaluate(async (two) => {
      const [refused, deleted] = await Promise.all([tab.put(100, 140, 900_000), tab.delete(two, two + 1)]);
      return { refused, deleted };
    }, two);
    assert.ok(beside.refused.thrown.length > 0, "36 MB fit where there was no room");
    assert.deepEqual(beside.deleted.done, [two]);
    assert.deepEqual((await page.evaluate(() => tab.has(0, 80))).done, others);

    await quota(200_000_000);
    assert.deepEqual(await page.evaluate(() => tab.put(0, 80, 500_000)), all(0, 80));
    const again = await world.tab();
    await again.evaluate(() => tab.open("s"));
    assert.deepEqual(await again.evaluate(() => tab.read(0, 80, 500_000)), all(0, 80));
    assert.deepEqual((await again.evaluate(() => tab.readNames(0, 400, 100_000))).done, names.done);
  },
);

const MIB = 1024 * 1024;

for (const where of ["in memory", "on disk"]) {
  testNeeding(chromiumInstalled)({
    name: `idb in Chromium: in a store ${where} that has more than its room, deleting makes some`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "firn-idb-" });
      try {
        await using world = await World.open(where === "on disk" ? folder : undefined);
        await makesRoom(world);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function makesRoom(world: World): Promise<void> {
  const [page, other] = [await world.tab(), await world.tab()];
  const quota = await world.quotaOf(page);
  await quota.set(40 * MIB);
  await page.evaluate(() => tab.open("s"));
  assert.equal(await page.evaluate(() => tab.reserve("s")), 0, "an empty store keeps nothing");
  const { done } = await page.evaluate(() => tab.put(0, 100, 500_000));
  assert.ok(done.length >= 40 && done.length < 70, `${done.length} halves`);
  assert.equal(await page.evaluate(() => tab.reserve("s")), MOST_PIECES);
  assert.equal(await page.evaluate(() => tab.listed()), done.length);
  const { live, dead } = await page.evaluate(() => tab.used());
  assert.deepEqual([live, dead], [500_000 * done.length, 0], "the reserve is no value");
  await other.evaluate(() => tab.open("s"));

  // Each time there is less room than before, by more than what was deleted: the reserve gives it.
  for (const [turn, number] of done.slice(0, 3).entries()) {
    await quota.set(await quota.usage() - 1.5 * MIB);
    // The browser remembers how much room there was until somebody wants more than that.
    await page.evaluate(() => tab.putNames(0, 1, 4_000_000));
    for (const tabOf of [page, other]) {
      const { done, thrown } = await tabOf.evaluate((turn) => tab.putNames(turn, turn + 1, 100), turn);
      assert.deepEqual(done, [], "it is overdrawn");
      assertThrown(thrown[0], "StoreFullError", /no more room/);
    }
    const made = await page.evaluate((number) => tab.makeRoom(number, number + 1), number);
    assert.deepEqual(made, { done: [number], thrown: [] });
    assert.deepEqual((await other.evaluate(() => tab.has(0, 100))).done, done.slice(turn + 1));
  }
  // With room again, the reserve is there again, whoever writes first: every tab looks for it now and then.
  assert.ok(await page.evaluate(() => tab.reserve("s")) < MOST_PIECES, "it was not used");
  await quota.set(60 * MIB);
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  assert.deepEqual(await other.evaluate(() => tab.put(0, 5, 500_000)), all(0, 5));
  assert.equal(await page.evaluate(() => tab.reserve("s")), MOST_PIECES);
  assert.deepEqual((await page.evaluate(() => tab.read(0, 100, 500_000))).done, done);
}

browserTest("a store without a reserve gets one when it is opened with room", async (world) => {
  const page = await world.tab();
  const quota = await world.quotaOf(page);
  await quota.set(40 * MIB);
  const again = async () => {
    await page.evaluate(() => tab.close());
    assert.equal(await page.evaluate(() => tab.open("s")), false);
    return await page.evaluate(() => tab.reserve("s"));
  };
  await page.evaluate(() => tab.open("s"));
  assert.deepEqual(await page.evaluate(() => tab.put(0, 20, 500_000)), all(0, 20));
  assert.equal(await again(), MOST_PIECES);
  await quota.set(await quota.usage());
  const refused = await page.evaluate(() => tab.putNames(0, 10, 4_000_000)); // or the browser remembers how much room there was
  assert.equal(refused.thrown[0]?.name, "StoreFullError");
  await page.evaluate(() => tab.removeReserve("s"));
  await quota.set(await quota.usage() + 3.5 * MIB);
  assert.equal(await again(), 3, "as much as there is room for");
  await quota.set(40 * MIB);
  assert.equal(await again(), MOST_PIECES);
  assert.deepEqual(await page.evaluate(() => tab.read(0, 20, 500_000)), all(0, 20));
});

browserTest("a tab that upgrades the database gets it, and the old tab is told", async (world) => {
  const [old, newer] = [await world.tab(), await world.tab()];
  await old.evaluate(() => tab.open("s"));
  // What was asked for before is stored, though the upgrade comes in the middle.
  const putting = old.evaluate(() => tab.put(0, 20, 400_000));
  assert.equal(await newer.evaluate(() => tab.hold("s", 2)), "opened");
  const { done, thrown } = await putting;
  for (const error of thrown) {
    assertThrown(error, "StoreGoneError", /another tab upgrades it; reload this page/);
  }
  const after = await old.evaluate(() => tab.read(0, 20, 400_000));
  assert.deepEqual(after.done, []);
  assertThrown(
    after.thrown[0],
    "StoreGoneError",
    /^Cannot use the store s: another tab upgrades it; reload this page/,
  );
  const [told] = await old.evaluate(() => tab.gone());
  assertThrown(told, "StoreGoneError", /another tab upgrades it/);
  for (
    const call of [
      () => tab.put(0, 1, 9),
      () => tab.putNames(0, 1, 9),
      () => tab.delete(0, 1),
      () => tab.count(1),
    ]
  ) {
    assertThrown((await old.evaluate(call)).thrown[0], "StoreGoneError", /upgrades/);
  }

  const third = await world.tab();
  assertThrown(
    await third.evaluate(() => tab.open("s")),
    "StoreVersionError",
    /^Cannot open the store s: a newer firn wrote it; reload/,
  );
  assert.equal(typeof done.length, "number");
});

browserTest("a database of something else is refused, and left as it is", async (world) => {
  const page = await world.tab();
  assert.equal(await page.evaluate(() => tab.hold("other", 1)), "opened");
  assertThrown(
    await page.evaluate(() => tab.open("other")),
    "StoreVersionError",
    /^Cannot open the store other: the database of that name is not one of firn; use another name$/,
  );
});

browserTest(
  "a store that another tab keeps from being opened is told to be busy, and opens later",
  async (world) => {
    const [holding, page] = [await world.tab(), await world.tab()];
    await page.evaluate(() => tab.open("s"));
    await page.evaluate(() => tab.close());
    await holding.evaluate(() => tab.hold("s"));
    await holding.evaluate(() => tab.beginToDelete("s"));
    assertThrown(
      await page.evaluate(() => tab.open("s", { patience: 500 })),
      "StoreBusyError",
      /^Cannot open the store s: another tab keeps it from being opened; close the other tabs/,
    );
    await holding.evaluate(() => tab.release());
    assert.equal(await page.evaluate(() => tab.open("s")), false, "the try that was given up made it");
  },
);

browserTest(
  "a store whose data are cleared under it fails clearly, and is never silently empty",
  async (world) => {
    const page = await world.tab();
    const devtools = await world.context.newCDPSession(page);
    await page.evaluate(() => tab.open("s"));
    assert.deepEqual(await page.evaluate(() => tab.put(0, 50, 100_000)), all(0, 50));
    const reading = page.evaluate(async () => {
      const outcomes = [];
      for (let turn = 0; turn < 200 && !tab.gone().length; turn++) {
        outcomes.push(await tab.read(0, 50, 100_000));
        outcomes.push(await tab.put(100 * turn + 100, 100 * turn + 105, 100_000));
      }
      return outcomes;
    });
    await devtools.send("Storage.clearDataForOrigin", { origin: world.origin, storageTypes: "all" });
    for (const { done, thrown } of await reading) {
      if (thrown.length === 0) {
        assert.ok(
          done.length === 50 || done.length === 5,
          `${done.length} of 50 were read`,
        );
      }
      for (const error of thrown) {
        assertThrown(
          error,
          "StoreGoneError",
          /^Cannot use the store s: the browser took it away/,
        );
      }
    }
    const [told] = await page.evaluate(() => tab.gone());
    assertThrown(told, "StoreGoneError", /as when a site's data are cleared; reload this page/);
    for (
      const call of [
        () => tab.read(0, 50, 100_000),
        () => tab.has(0, 50),
        () => tab.put(0, 50, 9),
        () => tab.readNames(0, 1, 1),
      ]
    ) {
      const { done, thrown } = await page.evaluate(call);
      assert.deepEqual(done, []);
      assertThrown(thrown[0], "StoreGoneError", /took it away/);
    }
    assert.equal(await page.evaluate(() => tab.open("s")), true, "it is another, new store, and says so");
  },
);

browserTest("a store that another tab deletes fails clearly, and does not hinder that", async (world) => {
  const [page, other] = [await world.tab(), await world.tab()];
  await page.evaluate(() => tab.open("s"));
  await page.evaluate(() => tab.put(0, 10, 100_000));
  await other.evaluate(() => tab.deleteDatabase("s"));
  const { done, thrown } = await page.evaluate(() => tab.has(0, 10));
  assert.deepEqual(done, []);
  assertThrown(
    thrown[0],
    "StoreGoneError",
    /^Cannot use the store s: another tab deletes it; reload this page/,
  );
});

browserTest("a store that was closed says so", async (world) => {
  const page = await world.tab();
  await page.evaluate(() => tab.open("s"));
  const putting = await page.evaluate(async () => {
    const putting = tab.put(0, 10, 100_000);
    await tab.close();
    return await putting;
  });
  assert.deepEqual(putting, all(0, 10), "disposing writes what waits");
  const { thrown } = await page.evaluate(() => tab.put(0, 1, 100));
  assertThrown(thrown[0], "StoreGoneError", /^Cannot use the store s: it was closed; open it again$/);
});
