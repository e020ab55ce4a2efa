/** What is kept: across reloads, without the server, in figures; deleted, exported and taken in again. */
import assert from "node:assert/strict";
import { noise } from "../server/_site.ts";
import { pageTest, PageWorld, program, publish } from "./_world.ts";

pageTest("what was opened is there without the server, after the page was loaded again", async (folder) => {
  await using world = await PageWorld.open(folder);
  const { page, server } = world;
  const base = await publish(server.url, "hello-1.0", program("1.0"));
  await world.openPath(base, true);
  await page.getByText("hash verified").waitFor();
  await page.evaluate("navigator.serviceWorker.ready");
  await server.stop();
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "hello-1.0" }).waitFor();
  await world.go(`#/path/${base}/files/share/default.nix`);
  await page.locator(".text .t-comment").first().waitFor();
  for (const place of ["closure", "truth"]) await world.go(`#/path/${base}/${place}`);
  await page.getByText("Nobody signed this path").waitFor();
  await world.go("#/settings");
  await page.getByText("Trusted keys").waitFor();
  world.assertSound();
});

pageTest("paths are pinned and deleted, and what they share is counted once", async (folder, t) => {
  await using world = await PageWorld.open(folder);
  const { page, server } = world;
  const large = noise(300_000);
  const first = await publish(server.url, "hello-1.0", program("1.0", { large }));
  const second = await publish(server.url, "hello-2.0", program("2.0", { large }));
  await world.openPath(first, true);
  await page.getByText("hash verified").waitFor();
  await world.openPath(second, true);
  await page.getByText("hash verified").waitFor();
  await world.go("#/kept");
  await page.getByRole("heading", { name: /^Sharing saves \d+ KiB of/ }).waitFor();

  await t.step("a pinned path is not deleted, and it is said why", async () => {
    await page.getByRole("button", { name: "Pin hello-1.0" }).click();
    await page.getByText("pinned", { exact: true }).waitFor();
    await page.getByLabel("Choose hello-1.0").check();
    await page.getByRole("button", { name: "Delete 1 path" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("alert").getByText(/pin/i).first().waitFor();
    assert.equal(await page.getByRole("link", { name: "hello-1.0" }).count(), 1);
  });

  await t.step("one that is not pinned is", async () => {
    await page.getByRole("button", { name: "Delete what is not pinned" }).click();
    await page.getByText("1 pinned path and what they refer to stay").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText(/^1 path deleted, /).first().waitFor();
    await page.getByRole("link", { name: "hello-2.0" }).waitFor({ state: "detached" });
    await world.go(`#/path/${first}/files/share/default.nix`);
    await page.getByText("# A comment").waitFor();
  });
  world.assertSound();
});

pageTest("everything is exported, and taken in by another browser", async (folder) => {
  await using world = await PageWorld.open(folder);
  const { page, server } = world;
  const base = await publish(server.url, "hello-1.0", program("1.0"));
  await world.openPath(base, true);
  await page.getByText("hash verified").waitFor();
  await page.evaluate("delete globalThis.showSaveFilePicker"); // a dialog of the system's, which nobody answers here
  await world.go("#/kept");
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export everything" }).click();
  const file = `${folder}/export.zip`;
  await (await saved).saveAs(file);

  const other = await (await world.browser.newContext()).newPage();
  await other.goto(`${server.url}/#/kept`);
  await other.getByLabel("Import").setInputFiles(file);
  await other.getByRole("heading", { level: 1, name: "hello-1.0" }).waitFor();
  await other.getByText("hash verified").waitFor();
  world.assertSound();
});

pageTest("two versions are compared: what changed, and how much is shared", async (folder) => {
  await using world = await PageWorld.open(folder);
  const { page, server } = world;
  const large = noise(400_000);
  const first = await publish(server.url, "hello-1.0", program("1.0", { large, gone: "gone" }));
  const second = await publish(server.url, "hello-2.0", program("2.0", { moved: large, "new": "new" }));
  await world.openPath(first);
  await world.openPath(second);
  await page.getByRole("link", { name: "Compare" }).last().click();
  await page.getByLabel("Before").selectOption(first);
  await page.getByRole("heading", { name: /^(> )?\d+ % of hello-2\.0 is in hello-1\.0 already$/ }).waitFor();
  const list = page.getByRole("list", { name: /^Files / });
  await list.getByText("share/default.nix").waitFor();
  for (const [change, name] of [["added", "new"], ["removed", "gone"], ["moved", "large → moved"]]) {
    await page.getByText(new RegExp(`^\\d+ ${change}$`)).click();
    await list.getByRole("listitem").filter({ hasText: name }).waitFor();
  }
  assert.match(page.url(), new RegExp(`before=${first}&after=${second}$`));
  world.assertSound();
});
