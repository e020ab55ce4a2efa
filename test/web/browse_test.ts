/** Looking into a path: with the mouse, with the keyboard, by address; and names that want to do harm. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { pageTest, PageWorld, program, publish, publishNar } from "./_world.ts";
import { narOf } from "../server/_site.ts";

pageTest("a path is opened from the server and looked into", async (folder, t) => {
  await using world = await PageWorld.open(folder);
  const { page, server } = world;
  const base = await publish(server.url, "hello-1.0", program("1.0"));
  await world.openPath(base);

  await t.step("folders open, a text is shown in colours", async () => {
    await world.row("share").click();
    await world.row("default.nix").click();
    const line = page.locator(".text .line").nth(1);
    await line.getByText("# A comment").waitFor();
    await page.locator(".text .t-comment").first().waitFor();
    assert.match(page.url(), /\/files\/share\/default\.nix$/);
    assert.equal(await page.locator(".crumbs li").count(), 3);
  });

  await t.step("the keyboard goes through the tree", async () => {
    await world.go(`#/path/${base}`);
    await page.reload(); // everything closed, and the address is enough
    const tree = page.getByRole("tree");
    await world.row("bin").waitFor();
    await tree.focus();
    const active = async () => {
      const id = await tree.getAttribute("aria-activedescendant");
      return (await page.locator(`#${id} .label`).innerText()).trim();
    };
    for (const [key, wanted] of [["Home", "bin"], ["ArrowRight", "bin"]]) {
      await page.keyboard.press(key);
      assert.equal(await active(), wanted, key);
    }
    await world.row("hello").waitFor();
    assert.equal(await world.row("bin").getAttribute("aria-expanded"), "true");
    for (
      const [key, wanted] of [
        ["ArrowDown", "hello"],
        ["ArrowDown", "hi → hello"],
        ["ArrowLeft", "bin"],
        ["ArrowLeft", "bin"],
        ["End", "share"],
        ["ArrowUp", "bin"],
      ]
    ) {
      await page.keyboard.press(key);
      assert.equal(await active(), wanted, key);
    }
    assert.equal(await world.row("bin").getAttribute("aria-expanded"), "false");
  });

  await t.step("a slash begins a search", async () => {
    await page.locator("h1").click();
    await page.keyboard.press("/");
    await page.keyboard.type("*.nix");
    await page.getByText("1 hit", { exact: true }).waitFor();
    await page.getByRole("option", { name: /default\.nix/ }).click();
    await page.getByText("# A comment").waitFor();
    await page.getByRole("searchbox", { name: /Search for names/ }).fill("");
  });

  await t.step("bytes are read where they are looked at", async () => {
    await world.go(`#/path/${base}/files/share/data.bin`);
    const hex = page.getByRole("region", { name: "Bytes of data.bin" });
    await hex.getByText("00 07 0e 15").first().waitFor();
    await hex.evaluate("(element) => element.scrollTop = element.scrollHeight");
    const last = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7 + (i >> 8)) & 255).subarray(-16, -8);
    await hex.getByText(Array.from(last, (byte) => byte.toString(16).padStart(2, "0")).join(" ")).first()
      .waitFor();
  });

  await t.step("an image is shown, a symlink is followed", async () => {
    await world.go(`#/path/${base}/files/share/pixel.svg`);
    await page.getByRole("img", { name: "The image pixel.svg" }).waitFor();
    await world.go(`#/path/${base}/files/bin/hi`);
    await page.getByRole("link", { name: "Follow" }).click();
    await page.getByText("version 1.0").first().waitFor();
    assert.match(page.url(), /\/files\/bin\/hello$/);
  });

  await t.step("a file is saved as it is", async () => {
    await world.go(`#/path/${base}/files/share/doc/README`);
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download" }).click();
    const download = await saved;
    assert.equal(download.suggestedFilename(), "README");
    assert.equal(await Deno.readTextFile(await download.path()), "Read me\n");
  });
  world.assertSound();
});

pageTest("names and contents that want to do harm are shown, and do nothing", async (folder) => {
  await using world = await PageWorld.open(folder);
  const { page, server } = world;
  const evil = "<img src=x onerror=globalThis.harmed=1>";
  const names = [
    fromText(evil),
    fromText("a\u202egpj.exe"),
    fromText("two\nlines"),
    Uint8Array.from([0x62, 0xff]),
  ];
  const html = fromText("<script>globalThis.harmed = 1</script>\u202e\n");
  const svg = fromText(
    '<svg xmlns="http://www.w3.org/2000/svg" onload="parent.harmed=1"><script>parent.harmed=1</script></svg>',
  );
  const nar = await narOf(function* () {
    yield { type: "directory", name: new Uint8Array() } as const;
    for (const name of [...names, fromText("x.svg")].sort(compare)) {
      const bytes = name.at(-1) === 0x67 ? svg : html; // .svg
      yield { type: "file", name, executable: false, size: bytes.length } as const;
      yield { type: "data", bytes } as const;
      yield { type: "end" } as const;
    }
    yield { type: "end" } as const;
  }());
  const base = await publishNar(server.url, "evil-1.0", nar);
  await world.openPath(base);
  for (const shown of [evil, "a\\u{202e}gpj.exe", "two\\nlines", "b\\xff"]) {
    await world.row(shown).click();
    await page.getByText("<script>globalThis.harmed = 1</script>").first().waitFor();
    await page.getByText("\\u{202e}").last().waitFor();
    const address = page.url();
    await page.reload();
    await page.getByText("<script>globalThis.harmed = 1</script>").first().waitFor();
    assert.equal(page.url(), address, "the name survives the address");
  }
  await world.row("x.svg").click();
  await page.getByRole("img").first().waitFor();
  await world.go("#/");
  await world.go("#/kept");
  assert.equal(await page.evaluate("globalThis.harmed"), undefined);
  assert.deepEqual(world.errors.filter((error) => !/Content Security Policy/.test(error)), []);
});

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
