/** A browser that gives no more room: what the page says, that nothing stored is lost, and that it goes on once there is room. */
import assert from "node:assert/strict";
import { noise } from "../server/_site.ts";
import { MOST_PIECES, PIECE_LENGTH } from "../../src/adapters/idb/reserve.ts";
import { pageTest, PageWorld, PATIENCE, publish } from "./_world.ts";

const MIB = 1024 * 1024;
const RESERVE = MOST_PIECES * PIECE_LENGTH;
/** Room for the page's own files, the store's reserve, and one of the two paths. */
const QUOTA = 18 * MIB + RESERVE;

pageTest(
  "where the browser has no room the page says what to do, loses nothing, and goes on",
  async (folder, t) => {
    await using world = await PageWorld.open(folder);
    const { server } = world;
    const first = await publish(server.url, "first-1.0", { large: noise(8 * MIB) });
    const second = await publish(server.url, "second-1.0", { large: noise(10 * MIB, 2), small: "small" });
    // The browser remembers for half a minute how much room there was: it must be told before the store is used.
    const page = await (await world.browser.newContext()).newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on("pageerror", (error) => world.errors.push(String(error)));
    const session = await page.context().newCDPSession(page);
    await session.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: QUOTA });
    await page.goto(`${server.url}/`);
    const go = (fragment: string) => page.evaluate(`location.hash = ${JSON.stringify(fragment)}`);
    const open = async (base: string) => {
      await go("#/");
      await page.getByLabel("Store path or hash").fill(base);
      await page.getByLabel("fetch all contents now").check();
      await page.getByRole("button", { name: "Open", exact: true }).click();
    };
    await open(first);
    await page.getByText("hash verified").waitFor();
    const card = page.locator(".job.failed");
    const said = (words: RegExp) => page.getByRole("status").getByText(words).waitFor();

    await t.step("an open ends, and the card says what to do", async () => {
      await open(second);
      await card.getByText("the browser gives this site no more room").waitFor();
      await card.getByText("delete what is not needed").waitFor();
      assert.equal(await page.getByText("hash verified").count(), 0);
    });

    await t.step("so it does with what is dropped", async () => {
      await Deno.writeFile(`${folder}/dropped`, noise(20 * MIB, 3));
      await Deno.mkdir(`${folder}/folder`);
      await Deno.rename(`${folder}/dropped`, `${folder}/folder/dropped`);
      await go("#/");
      await page.getByLabel("Folder to open").setInputFiles(`${folder}/folder`);
      await card.filter({ hasText: "Open folder" }).getByText("no more room").waitFor();
      await card.getByRole("button", { name: "Dismiss: Open folder" }).click();
    });

    await t.step("what was stored is there, and true", async () => {
      await page.reload();
      await go(`#/path/${first}/truth`);
      await page.getByRole("button", { name: "Verify every byte" }).click();
      await said(/everything is true/);
    });

    await t.step("with room that was made in the page, it goes on", async () => {
      await go(`#/path/${second}`);
      await page.getByRole("button", { name: "Fetch all" }).click();
      await card.getByRole("link", { name: "See what is kept" }).click();
      await page.getByLabel("Choose first-1.0").check();
      await page.getByRole("button", { name: "Delete 1 path" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await said(/1 path deleted, \d+\.\d MiB free again/);
      await page.getByRole("link", { name: "first-1.0" }).waitFor({ state: "detached" });
      await card.getByRole("button", { name: "Try again" }).click();
      await go(`#/path/${second}`);
      await page.getByText("hash verified").waitFor();
      const { usage } = await session.send("Storage.getUsageAndQuota", { origin: server.url });
      assert.ok(usage < QUOTA, `${usage} bytes`);
    });
    world.assertSound();
  },
);
