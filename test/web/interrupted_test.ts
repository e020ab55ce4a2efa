/** Opening from a slow server, cancelled in its middle; from one that is down and comes up again; and going on after a reload. */
import assert from "node:assert/strict";
import { noise } from "../server/_site.ts";
import { Between } from "./_between.ts";
import { pageTest, PageWorld, publish } from "./_world.ts";

const MIB = 1024 * 1024;
const SIZE = 16 * MIB;
/** What may be fetched again: of each of the answers that were under way, a piece that was cut off. */
const CUT_OFF = 3 * MIB;

pageTest(
  "an open is cancelled in its middle, and goes on after a reload with what is lacking",
  async (folder, t) => {
    await using world = await PageWorld.open(folder);
    const { page, server } = world;
    const base = await publish(server.url, "large-1.0", { large: noise(SIZE), small: "small" });
    await using cache = new Between(server.url);
    const open = async (base: string) => {
      await world.go("#/");
      await page.getByLabel("Store path or hash").fill(base);
      await page.getByLabel("Cache", { exact: true }).fill(cache.url);
      await page.getByLabel("fetch all contents now").check();
      await page.getByRole("button", { name: "Open", exact: true }).click();
    };
    const card = page.locator(".job");
    const cancelWhenSlow = async (title: string) => {
      await cache.until(() => cache.slow);
      await page.getByText(/^Fetching [789]\.\d\d MiB/).waitFor();
      await card.getByRole("button", { name: "Cancel" }).click();
      await page.getByRole("status").getByText(`${title}: cancelled`).waitFor();
      await card.waitFor({ state: "detached" });
    };

    await t.step("from a firn server: what came stays, and nothing half is shown as whole", async () => {
      const blobs = /POST \/blob\/read/;
      cache.slowDown(blobs, 8 * MIB);
      await open(base);
      await cancelWhenSlow("Open large-1.0");
      cache.release();
      await cache.until(() => cache.of(blobs).some(({ left }) => left)); // the server is told as well
      const before = cache.sent(blobs);
      await page.getByRole("heading", { name: "Not finished" }).waitFor();
      await world.go(`#/path/${base}`);
      await page.getByText("hash not verified yet").waitFor();
      assert.equal(await page.getByText("hash verified").count(), 0);

      await page.reload();
      await world.go("#/");
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByText("hash verified").waitFor();
      const again = cache.sent(blobs) - before;
      assert.ok(before + again < SIZE + CUT_OFF, `${before} bytes, then ${again}`);
      await world.go("#/");
      await page.getByRole("heading", { name: "Not finished" }).waitFor({ state: "detached" });
    });

    await t.step("from another cache, of whose archive the pieces are kept that came", async () => {
      cache.guard = (_, path) =>
        path === "/firn.json"
          ? new Response(null, { status: 404, headers: { "access-control-allow-origin": "*" } })
          : undefined;
      const plain = await publish(server.url, "plain-1.0", { large: noise(SIZE, 2) });
      await page.reload(); // what was found of the cache before is forgotten
      const nar = /GET \/nar\//;
      cache.slowDown(nar, 8 * MIB);
      await open(plain);
      await cancelWhenSlow("Open plain-1.0");
      cache.release();
      const before = cache.sent(nar);
      await world.go(`#/path/${plain}`);
      await page.getByText("This path is not kept here").waitFor();

      await page.reload();
      await world.go("#/");
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByRole("heading", { level: 1, name: "plain-1.0" }).waitFor();
      await page.getByText("hash verified").waitFor();
      const [, second] = cache.of(nar);
      const from = Number(/^bytes=(\d+)-$/.exec(second.range ?? "")?.[1]);
      assert.ok(from > before - CUT_OFF, `${second.range} after ${before} bytes`);
      assert.ok(second.sent < SIZE - from + 4096, `${second.sent} bytes more`);
    });
    world.assertSound();
  },
);

pageTest("a server that is down is told, and tried again when it is up", async (folder, t) => {
  await using world = await PageWorld.open(folder);
  const { page, server } = world;
  const base = await publish(server.url, "hello-1.0", { large: noise(6 * MIB), small: "small" });
  await using cache = new Between(server.url);
  const open = async () => {
    await world.go("#/");
    await page.getByLabel("Store path or hash").fill(base);
    await page.getByLabel("Cache", { exact: true }).fill(cache.url);
    await page.getByRole("button", { name: "Open", exact: true }).click();
  };
  const again = page.locator(".job").getByRole("button", { name: "Try again" });

  await t.step("before anything came", async () => {
    await cache.down();
    await open();
    await page.getByRole("alert").getByText(`Cannot reach ${cache.url}/`).waitFor();
    await again.click();
    await page.getByRole("alert").getByText(`Cannot reach ${cache.url}/`).waitFor();
    cache.up();
    await again.click();
    await page.getByRole("heading", { level: 1, name: "hello-1.0" }).waitFor();
  });

  await t.step("in the middle of the contents", async () => {
    cache.slowDown(/POST \/blob\/read/, 2 * MIB);
    await page.getByRole("button", { name: "Fetch all" }).click();
    await cache.until(() => cache.slow);
    await cache.cut();
    await page.getByRole("alert").getByText(/the connection broke|Cannot reach/).waitFor();
    assert.equal(await page.getByText("hash verified").count(), 0);
    cache.up();
    await again.click();
    await page.getByText("hash verified").waitFor();
  });

  await t.step("a file that is looked at says so in its place", async () => {
    const lazy = await publish(server.url, "lazy-1.0", { text: "some text\n" });
    await world.go("#/");
    await page.getByLabel("Store path or hash").fill(lazy);
    await page.getByLabel("Cache", { exact: true }).fill(cache.url);
    await page.getByRole("button", { name: "Open", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "lazy-1.0" }).waitFor();
    await cache.down();
    await world.go(`#/path/${lazy}/files/text`);
    await page.getByRole("alert").getByText(`Cannot reach ${cache.url}/`).waitFor();
    cache.up();
    await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
    await page.getByText("some text").waitFor();
  });
  world.assertSound();
});
