/** What is dragged onto the page from the machine, or chosen in its dialogs: archives, narinfos, folders, several of them. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { compress, narFile, narInfo, nix32, pathOf, sha256, treeNar } from "../server/_site.ts";
import { xz } from "../needs.ts";
import { drag, drop, pageTest, PageWorld, program } from "./_world.ts";

/** The path that is looked at, and the SHA-256 of its archive as the page saves it. */
async function lookedAt(page: Page): Promise<{ path: string; narSha256: string }> {
  const path = await page.locator(".title .store .mono").innerText();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "NAR", exact: true }).click();
  const bytes = await Deno.readFile(await (await saved).path());
  return { path, narSha256: nix32(sha256(bytes)) };
}

pageTest("archives and folders are dragged onto the page", async (folder, t) => {
  await using world = await PageWorld.open(folder);
  const { page } = world;
  const heading = (name: string) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();

  await t.step("a NAR, which becomes a path that is named by its contents", async () => {
    const nar = await treeNar(program("1.0"));
    await Deno.writeFile(`${folder}/hello-1.0.nar`, nar);
    await drop(page, `${folder}/hello-1.0.nar`);
    await heading("hello-1.0");
    await page.getByText("named by its contents").waitFor();
    await page.getByText("hash verified").waitFor();
    assert.equal((await lookedAt(page)).narSha256, nix32(sha256(nar)));
  });

  await t.step("a compressed one with its narinfo", async () => {
    const base = pathOf("hello-2.0");
    const file = await narFile(await treeNar(program("2.0")), "xz");
    const name = file.url.slice("nar/".length);
    await Deno.writeFile(`${folder}/${name}`, file.bytes);
    await Deno.writeTextFile(`${folder}/${base.slice(0, 32)}.narinfo`, narInfo(base, file));
    await drop(page, `${folder}/${base.slice(0, 32)}.narinfo`, `${folder}/${name}`);
    await heading("hello-2.0");
    const seen = await lookedAt(page);
    assert.deepEqual(seen, { path: `/nix/store/${base}`, narSha256: nix32(sha256(file.nar)) });
  });

  await t.step("one that is not what its narinfo claims is refused, and what was there stays", async () => {
    const base = pathOf("tampered");
    const file = await narFile(await treeNar({ a: "a" }), "xz");
    const other = await compress("xz", await treeNar({ a: "b" }));
    await Deno.writeFile(`${folder}/tampered.nar.xz`, other);
    await Deno.writeTextFile(`${folder}/tampered.narinfo`, narInfo(base, file));
    await drop(page, `${folder}/tampered.nar.xz`, `${folder}/tampered.narinfo`);
    const card = page.locator(".job.failed");
    await card.getByText(/^Nothing opened\. Refused: tampered\.nar\.xz: .*File(Hash|Size)/).waitFor();
    await card.getByRole("button", { name: "Dismiss: Open 2 files" }).click();
    await world.go("#/kept");
    await page.getByRole("heading", { level: 2, name: "2 paths" }).waitFor();
  });

  const dropped = `${folder}/my notes`;
  let notes = { path: "", narSha256: "" };
  await t.step("a folder, with what is in it: empty folders, programs, deep ones", async () => {
    await Deno.mkdir(`${dropped}/deep/er/est`, { recursive: true });
    await Deno.mkdir(`${dropped}/empty`);
    await Deno.writeTextFile(`${dropped}/run.sh`, "#!/bin/sh\n");
    await Deno.writeTextFile(`${dropped}/deep/er/est/text`, "text\n");
    for (let i = 0; i < 250; i++) await Deno.writeTextFile(`${dropped}/deep/${i}`, `${i}`);
    await drop(page, dropped);
    await heading("my-notes");
    const many = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`${i}`, `${i}`]));
    const nar = await treeNar({
      deep: { ...many, er: { est: { text: "text\n" } } },
      empty: {},
      "run.sh": "#!/bin/sh\n",
    });
    notes = await lookedAt(page);
    assert.equal(notes.narSha256, nix32(sha256(nar)));
  });

  await t.step("a folder, in a browser that gives its entries one by one", async () => {
    await page.evaluate("delete DataTransferItem.prototype.getAsFileSystemHandle");
    await world.go("#/");
    await drop(page, dropped);
    await heading("my-notes");
    assert.deepEqual(await lookedAt(page), notes);
    await page.reload();
  });

  await t.step("several at once, each for itself", async () => {
    for (const name of ["one", "two"]) {
      await Deno.writeFile(`${folder}/${name}.nar`, await treeNar({ [name]: name }));
    }
    await Deno.mkdir(`${folder}/three`);
    await Deno.writeTextFile(`${folder}/three/three`, "three");
    await drop(page, `${folder}/one.nar`, `${folder}/two.nar`, `${folder}/three`);
    await world.go("#/kept");
    for (const name of ["one", "two", "three"]) {
      await page.getByRole("link", { name, exact: true }).waitFor();
    }
  });

  await t.step("while the page changes under what is dragged", async () => {
    const hint = page.getByText("Drop it to open it");
    /** Something new under the pointer, as when what was loading is there. */
    const change = async () => {
      await page.evaluate(`{
        document.getElementById("new")?.remove();
        const element = document.createElement("div");
        element.id = "new";
        element.style = "position: fixed; inset: 0";
        document.body.append(element);
      }`);
    };
    await world.go("#/");
    await Deno.writeFile(`${folder}/four.nar`, await treeNar({ four: "four" }));
    await drag(page, [`${folder}/four.nar`], async (send) => {
      for (let i = 0; i < 3; i++) {
        await send("dragOver");
        await hint.waitFor();
        await change();
      }
      // Taken away: the protocol of Chromium's tools does not tell the page of that.
      await page.evaluate(`{
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([], "four.nar"));
        document.getElementById("new").dispatchEvent(new DragEvent("dragleave", { bubbles: true, dataTransfer }));
      }`);
      await hint.waitFor({ state: "hidden" });
      await send("dragOver");
      await hint.waitFor();
      await change();
      await send("drop");
      await hint.waitFor({ state: "hidden" });
    });
    await heading("four");
    await page.evaluate("document.getElementById('new').remove()");
  });

  await t.step("what is chosen in the dialogs", async () => {
    const choose = async (button: string, chosen: string | string[]) => {
      await world.go("#/");
      const asked = page.waitForEvent("filechooser");
      await page.getByRole("button", { name: button }).click();
      await (await asked).setFiles(chosen);
    };
    await Deno.writeFile(`${folder}/picked.nar`, await treeNar({ picked: "picked" }));
    await choose("Choose files", [`${folder}/picked.nar`]);
    await heading("picked");
    await Deno.mkdir(`${folder}/picked-folder/deep`, { recursive: true });
    await Deno.writeTextFile(`${folder}/picked-folder/deep/text`, "text");
    // More than go to the worker in one message.
    const many = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`${i}`, `${i}`]));
    for (const name of Object.keys(many)) await Deno.writeTextFile(`${folder}/picked-folder/${name}`, name);
    await choose("Choose a folder", `${folder}/picked-folder`);
    await heading("picked-folder");
    assert.equal(
      (await lookedAt(page)).narSha256,
      nix32(sha256(await treeNar({ ...many, deep: { text: "text" } }))),
    );
  });
  world.assertSound();
}, xz);
