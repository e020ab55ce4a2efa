/** A path is opened in the page from a server whose store is compressed: what moves is what is stored there, and all of it is proven. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { noise } from "../server/_site.ts";
import { Between } from "./_between.ts";
import { pageTest, PageWorld, publish } from "./_world.ts";

const WORDS = fromText(
  Array.from({ length: 150_000 }, (_, i) => `line ${i} of a text, all much alike\n`).join(""),
);

pageTest("opening a path moves its contents as the server has them compressed", async (folder) => {
  await using world = await PageWorld.open(folder);
  const { page, server } = world;
  const base = await publish(server.url, "words-1.0", {
    words: WORDS,
    noise: noise(500_000),
    small: "small",
  });
  await using cache = new Between(server.url);
  await world.go("#/");
  await page.getByLabel("Store path or hash").fill(base);
  await page.getByLabel("Cache", { exact: true }).fill(cache.url);
  await page.getByLabel("fetch all contents now").check();
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.getByText("hash verified").waitFor();
  const plain = WORDS.length + 500_000;
  const sent = cache.sent(/POST \/blob\/read/);
  assert.ok(sent > 500_000, `${sent} bytes were seen`);
  assert.ok(sent < plain * 0.5, `${sent} bytes moved for ${plain}`);
  world.assertSound();
});
