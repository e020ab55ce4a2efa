/** Two tabs of one store: what one does the other shows, both write at once, and one deletes what the other looks at. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { noise, treeNar } from "../server/_site.ts";
import { Between } from "./_between.ts";
import { pageTest, PageWorld, PATIENCE, program, publish } from "./_world.ts";

const MIB = 1024 * 1024;

/** Goes to an address of the page in a tab, which is seen from then on: one that is not seen answers slowly. */
async function go(page: Page, fragment: string): Promise<void> {
  await page.bringToFront();
  await page.evaluate(`location.hash = ${JSON.stringify(fragment)}`);
}

async function open(page: Page, base: string, everything = false, cache?: string): Promise<void> {
  await go(page, "#/");
  await page.getByLabel("Store path or hash").fill(base);
  if (cache) await page.getByLabel("Cache", { exact: true }).fill(cache);
  if (everything) await page.getByLabel("fetch all contents now").check();
  await page.getByRole("button", { name: "Open", exact: true }).click();
}

/** What was said last to who listens instead of looking: unlike cards, it stays. */
async function said(page: Page, words: RegExp): Promise<void> {
  await page.getByRole("status").getByText(words).waitFor();
}

pageTest("two tabs are one store", async (folder, t) => {
  await using world = await PageWorld.open(folder);
  const { page: one, server } = world;
  const two = await world.context.newPage();
  two.on("pageerror", (error) => world.errors.push(String(error)));
  two.setDefaultTimeout(PATIENCE);
  await two.goto(`${server.url}/`);
  await two.getByText("Nothing yet").waitFor();
  const hello = await publish(server.url, "hello-1.0", program("1.0"));
  const heading = (page: Page, name: string) => page.getByRole("heading", { level: 1, name }).waitFor();

  await t.step("what one opens the other shows, by itself, and after it is loaded again", async () => {
    await open(one, hello, true);
    await heading(one, "hello-1.0");
    await two.getByRole("link", { name: "hello-1.0" }).click();
    await two.getByText("hash verified").waitFor();
    await two.reload();
    await two.getByText("hash verified").waitFor();
  });

  await t.step("a cache's token and a key that one is given hold for the other", async () => {
    await go(one, "#/settings");
    await go(two, "#/settings");
    await two.getByText("Trusted keys").waitFor();
    await one.getByLabel("New cache").fill("https://cache.example");
    await one.getByRole("button", { name: "Add" }).nth(1).click();
    await one.getByText("https://cache.example", { exact: true }).waitFor();
    await two.getByText("https://cache.example", { exact: true }).waitFor();
  });

  await t.step("both write at once: different paths, and the same one", async () => {
    const shared = noise(3 * MIB);
    const bases: string[] = [];
    for (let i = 0; i < 3; i++) {
      bases.push(await publish(server.url, `both-${i}`, { shared, own: noise(MIB, i + 2) }));
    }
    const all = async (page: Page, bases: readonly string[]) => {
      for (const base of bases) {
        await open(page, base, true);
        await heading(page, base.slice(33));
        await page.getByText("hash verified").waitFor();
      }
    };
    await Promise.all([all(one, bases), all(two, bases.toReversed())]);
    for (const base of bases) {
      await go(one, `#/path/${base}/truth`);
      await one.getByRole("button", { name: "Verify every byte" }).click();
      await said(one, new RegExp(`Verify ${base.slice(33)}: .*everything is true`));
    }
  });

  await t.step("one deletes what the other looks at: it is told, and can be opened again", async () => {
    await go(two, `#/path/${hello}/files/share/default.nix`);
    await two.getByText("# A comment").waitFor();
    await go(one, "#/kept");
    await one.getByLabel("Choose hello-1.0").check();
    await one.getByRole("button", { name: "Delete 1 path", exact: true }).click();
    await one.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await said(one, /1 path deleted, /);
    await two.getByText("This path is not kept here").waitFor();
    await two.getByRole("button", { name: "Open it from 127.0.0.1" }).first().click();
    await two.getByText("# A comment").waitFor();
  });

  await t.step("deleting waits for what another tab writes, and takes nothing of it", async () => {
    await using cache = new Between(server.url);
    const slow = await publish(server.url, "slow-1.0", { large: noise(5 * MIB, 9) });
    cache.slowDown(/POST \/blob\/read/, 2 * MIB);
    await open(two, slow, true, cache.url);
    await cache.until(() => cache.slow);
    await go(one, "#/kept");
    await one.getByLabel("Choose both-0").check();
    await one.getByRole("button", { name: "Delete 1 path", exact: true }).click();
    await one.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await one.locator(".job.running").getByText("Waiting until no tab writes").waitFor();
    cache.release();
    await said(one, /1 path deleted, /);
    await heading(two, "slow-1.0");
    await two.getByText("hash verified").waitFor();
    for (const page of [one, two]) {
      await go(page, `#/path/${slow}/truth`);
      await page.getByRole("button", { name: "Verify every byte" }).click();
      await said(page, /Verify slow-1.0: .*everything is true/);
    }
  });

  await t.step("one that is closed in the middle of writing leaves the other alone", async () => {
    await Deno.writeFile(`${folder}/big.nar`, await treeNar({ big: noise(40 * MIB, 11) }));
    await go(two, "#/");
    await two.getByLabel("Files to open").setInputFiles(`${folder}/big.nar`);
    await two.locator(".job.running").getByText(/MiB/).waitFor();
    await two.close();
    await go(one, "#/kept");
    await one.getByRole("button", { name: "Delete what is not pinned" }).click();
    await one.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await one.getByText("Nothing is kept here").waitFor();
    await open(one, hello, true);
    await heading(one, "hello-1.0");
    await one.getByText("hash verified").waitFor();
  });
  assert.deepEqual(world.errors, []);
});
