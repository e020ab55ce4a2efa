/** The tab and real Nix, with a firn server between them. */
import assert from "node:assert/strict";
import { chromiumInstalled } from "../browser/_chromium.ts";
import { sampler } from "../e2e/closures.ts";
import { nixTest, User } from "../e2e/nix.ts";
import { nix32, sha256 } from "../server/_site.ts";
import { PageWorld } from "./_world.ts";

for (const name of ["old", "new"] as const) {
  nixTest(
    "a path that nix uploaded is opened in the tab, and saved as the same archive",
    name,
    async (nix, folder) => {
      const closure = await sampler(`${folder}/builder`);
      await using world = await PageWorld.open(folder);
      const { page, server } = world;
      await new User(nix, `${folder}/pusher`).push(server.url, closure.root);
      for (const path of closure.paths) {
        await world.openPath(path.slice("/nix/store/".length));
        const saved = page.waitForEvent("download");
        await page.getByRole("button", { name: "NAR", exact: true }).click();
        const bytes = await Deno.readFile(await (await saved).path());
        assert.equal(`sha256:${nix32(sha256(bytes))}`, closure.narHashes.get(path), path);
      }
      world.assertSound();
    },
    chromiumInstalled,
  );

  nixTest(
    "a folder that was opened in the tab is pushed, and copied out by nix",
    name,
    async (nix, folder) => {
      await using world = await PageWorld.open(folder);
      const { page, server } = world;
      const dropped = `${folder}/my notes`;
      await Deno.mkdir(`${dropped}/deep/er`, { recursive: true });
      await Deno.writeTextFile(`${dropped}/run`, "#!/bin/sh\necho run\n");
      await Deno.writeTextFile(`${dropped}/deep/er/text`, "text\n");
      await Deno.writeFile(`${dropped}/deep/noise`, crypto.getRandomValues(new Uint8Array(60_000)));
      await page.getByLabel("Folder to open").setInputFiles(dropped);
      await page.getByRole("heading", { level: 1, name: /notes/ }).waitFor();
      await page.getByText("named by its contents").waitFor();
      const path = await page.locator(".title .store .mono").innerText();
      await page.getByRole("link", { name: "Push" }).click();
      assert.equal(
        await page.getByLabel("Server").inputValue(),
        server.url,
        "the page's own server is proposed",
      );
      await page.getByRole("button", { name: "Push" }).click();
      await page.getByText("1 path sent").first().waitFor();

      const user = new User(nix, `${folder}/puller`);
      const args = ["--no-check-sigs", "--from", server.url, "--to", `${folder}/pulled`, path];
      await user.nixCommand("copy", ...args);
      const out = `${folder}/pulled${path}`;
      assert.equal(await Deno.readTextFile(`${out}/deep/er/text`), "text\n");
      assert.deepEqual(
        await Deno.readFile(`${out}/deep/noise`),
        await Deno.readFile(`${dropped}/deep/noise`),
      );
      assert.equal((await Deno.stat(`${out}/run`)).mode! & 0o111, 0o111, "a script is executable");
      await user.nixStore("--store", `${folder}/pulled`, "--verify", "--check-contents");
      world.assertSound();
    },
    chromiumInstalled,
  );
}
