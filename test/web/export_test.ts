/** Exporting and importing everything with the page's buttons: much of it, and files that are no export, or were cut off or damaged. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { narFile, narInfo, noise, pathOf, treeNar } from "../server/_site.ts";
import { pageTest, PageWorld, PATIENCE } from "./_world.ts";

const MB = 1_000_000;

/** Takes a file in with the button of the page, and waits for what is said of it. */
async function importFile(page: Page, file: string, words: RegExp): Promise<void> {
  await page.evaluate(`location.hash = "#/kept"`);
  await page.getByLabel("Import").setInputFiles(file);
  await page.getByRole("status").getByText(words).waitFor();
}

pageTest(
  "a large store is exported and imported, and what is no whole export is refused",
  async (folder, t) => {
    await using world = await PageWorld.open(folder);
    const { page, server } = world;
    const names = ["app-1.0", "lib-1.0"] as const;
    const bases = names.map(pathOf);
    const sizes = [60 * MB, 40 * MB];
    for (const [i, base] of bases.entries()) {
      const References = i === 0 ? bases[1] : "";
      const file = await narFile(
        await treeNar({ data: noise(sizes[i], i + 1), needs: References || "nothing" }),
      );
      await Deno.writeFile(`${folder}/${base}.nar`, file.bytes);
      await Deno.writeTextFile(`${folder}/${base}.narinfo`, narInfo(base, file, { References }));
      await page.evaluate(`location.hash = "#/"`);
      await page.getByLabel("Files to open").setInputFiles([
        `${folder}/${base}.nar`,
        `${folder}/${base}.narinfo`,
      ]);
      await page.getByRole("heading", { level: 1, name: names[i] }).waitFor();
    }
    const whole = `${folder}/export.zip`;
    const other = await (await world.browser.newContext()).newPage();
    other.setDefaultTimeout(PATIENCE);
    other.on("pageerror", (error) => world.errors.push(String(error)));
    await other.goto(`${server.url}/#/kept`);

    await t.step("100 MB are exported, with progress", async () => {
      await page.evaluate("delete globalThis.showSaveFilePicker"); // a dialog of the system's, which nobody answers here
      await page.evaluate(`location.hash = "#/kept"`);
      const saved = page.waitForEvent("download");
      await page.getByRole("button", { name: "Export everything" }).click();
      await page.getByText(/^Packing /).waitFor();
      await (await saved).saveAs(whole);
      assert.ok((await Deno.stat(whole)).size > 100 * MB);
    });

    await t.step("a file that is no export is refused, as is a zip of other things", async () => {
      await Deno.writeTextFile(`${folder}/text.txt`, "no export\n");
      await importFile(other, `${folder}/text.txt`, /Refused: text\.txt: .*neither a NAR/);
      await Deno.writeFile(`${folder}/empty.zip`, Uint8Array.from([0x50, 0x4b, 5, 6, ...Array(18).fill(0)]));
      await importFile(other, `${folder}/empty.zip`, /Refused: empty\.zip: .*no nix-cache-info/);
      await other.getByText("Nothing is kept here").waitFor();
    });

    await t.step("one that was cut off says so, and nothing of it is taken", async () => {
      const cut = `${folder}/cut.zip`;
      await Deno.copyFile(whole, cut);
      await Deno.truncate(cut, 70 * MB);
      await importFile(other, cut, /Refused: cut\.zip: .*no directory at its end/);
      await other.getByText("Nothing is kept here").waitFor();
    });

    await t.step("of one that is damaged, what is sound is taken", async () => {
      const bytes = await Deno.readFile(whole);
      bytes[30 * MB] ^= 1; // in one of the archives
      await Deno.writeFile(`${folder}/damaged.zip`, bytes);
      await importFile(other, `${folder}/damaged.zip`, /1 path, .*Refused: \w{32}\.narinfo: .*/);
      await other.getByRole("heading", { level: 2, name: "1 path" }).waitFor();
    });

    await t.step("a whole one is taken in, the rest of what is here already", async () => {
      await importFile(other, whole, /export\.zip: 2 paths, /);
      for (const [i, base] of bases.entries()) {
        await other.evaluate(`location.hash = "#/path/${base}/truth"`);
        await other.getByRole("heading", { level: 1, name: names[i] }).waitFor();
        await other.getByText("hash verified").waitFor();
        await other.getByText("references complete").waitFor();
      }
    });
    world.assertSound();
  },
);
