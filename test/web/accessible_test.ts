/** Every view, light and dark, wide and narrow: no serious or critical finding of axe, and nothing wider than the screen. */
import assert from "node:assert/strict";
import { assertAccessible, pageTest, PageWorld, program, publish } from "./_world.ts";

for (
  const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 360]] as const
) {
  pageTest(`every view is accessible, ${colorScheme}, ${width} pixels wide`, async (folder, t) => {
    await using world = await PageWorld.open(folder, {
      colorScheme,
      viewport: { width, height: 800 },
      reducedMotion: "reduce",
    });
    const { page, server } = world;
    const lib = await publish(server.url, "lib-1.0", { "lib.so": "lib" });
    const first = await publish(server.url, "hello-1.0", program("1.0", { needs: lib }), { References: lib });
    const second = await publish(server.url, "hello-2.0", program("2.0", { needs: lib, "new": "new" }), {
      References: lib,
    });
    const look = (what: string, fragment: string | undefined, seen: () => Promise<unknown>) =>
      t.step(what, async () => {
        if (fragment !== undefined) await world.go(fragment);
        await seen();
        await assertAccessible(page, what);
        const wide = await page.evaluate("document.documentElement.scrollWidth") as number;
        assert.ok(wide <= width, `${what} is ${wide} pixels wide on a screen of ${width}`);
      });
    const text = (words: string | RegExp) => () => page.getByText(words).first().waitFor();
    const path = `#/path/${first}`;

    await look("an empty store", undefined, text("Nothing yet"));
    await world.openPath(second, true);
    await world.openPath(first);
    await look("opened paths", "#/", text("Opened here"));
    await look("files", path, () => page.getByRole("tree").or(page.getByText("Largest")).first().waitFor());
    await look("a text", `${path}/files/share/default.nix`, text("A comment"));
    await look("bytes", `${path}/files/share/data.bin`, text(/^00 07 0e 15/));
    await look("an image", `${path}/files/share/pixel.svg`, text("image/svg+xml"));
    await look("a symlink", `${path}/files/bin/hi`, text("Symlink to"));
    await look("nothing there", `${path}/files/none`, text("Nothing is here under this name"));
    await look("truth of a part", `${path}/truth`, text("Nobody signed this path"));
    await look("truth of a whole", `#/path/${second}/truth`, text("complete"));
    await look(
      "a closure",
      `${path}/closure`,
      () => page.getByRole("button", { name: /^hello-1\.0 / }).waitFor(),
    );
    await look("a closure as a graph", undefined, async () => {
      await page.getByText("Graph", { exact: true }).click();
      await page.getByRole("region", { name: /Graph of the closure/ }).waitFor();
    });
    await look("a closure as a table, and why", undefined, async () => {
      await page.getByText("Table", { exact: true }).click();
      await page.getByRole("button", { name: "lib-1.0" }).click();
      await page.getByText("Why hello-1.0 needs it").waitFor();
    });
    await look("push", `${path}/push`, text("Token, if it asks for one"));
    await look("nothing to compare", "#/compare", text("Choose two paths"));
    await look("a comparison", `#/compare?before=${first}&after=${second}`, text(/is in hello-1\.0 already/));
    await look("what is kept", "#/kept", text("Everything below is stored in this browser"));
    await look("use with Nix", "#/nix", text("Let Nix fetch from it"));
    await look("settings", "#/settings", text("Trusted keys"));
    await look(
      "a path that is not kept",
      `#/path/${"0".repeat(32)}-none`,
      text("This path is not kept here"),
    );
    await look("no such page", "#/none", text("There is no such page"));
    world.assertSound();
  });
}
