// The engine as it is built, in its worker in Chromium, over IndexedDB, against a firn server: and the service worker after it is gone.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { RemoteEngine } from "../../../web/engine/connect.ts";
import { testNeeding, tool } from "../../needs.ts";
import {
  assertTaken,
  narFile,
  narInfo,
  narInfoName,
  noise,
  pathOf,
  sha256,
  type Tree,
  treeNar,
} from "../../server/_site.ts";
import { TabWorld } from "./_tab_page.ts";

declare const engine: RemoteEngine;

async function publish(world: TabWorld, name: string, tree: Tree, compression = "none"): Promise<string> {
  const file = await narFile(await treeNar(tree), compression);
  const base = pathOf(name);
  await assertTaken(await fetch(`${world.url}/${file.url}`, { method: "PUT", body: file.bytes }));
  await assertTaken(
    await fetch(`${world.url}/${narInfoName(base)}`, { method: "PUT", body: narInfo(base, file) }),
  );
  return base;
}

const DOCS: Tree = {
  "index.html":
    '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="style.css"><h1>before</h1>' +
    '<img id="logo" src="logo.svg"><script>document.querySelector("h1").textContent = "scripts ran"</script>' +
    '<script src="app.js"></script><a href="more/">more</a>',
  "app.js": 'document.title = "scripts ran";',
  "style.css": "h1 { color: rgb(1, 2, 3) }",
  "logo.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="5"/>',
  more: { "page.txt": "plain words" },
};

async function seen(page: Page): Promise<{ heading: string; title: string; color: string; width: number }> {
  // Asked through the browser, not through a script of the page, of which there are none.
  await page.waitForLoadState("load");
  return await page.evaluate(() => ({
    heading: document.querySelector("h1")!.textContent!,
    title: document.title,
    color: getComputedStyle(document.querySelector("h1")!).color,
    width: document.querySelector<HTMLImageElement>("#logo")!.naturalWidth,
  }));
}

testNeeding(tool("chromium", "chromium"))({
  name: "the engine in Chromium",
  sanitizeOps: false, // the browser is a process with pipes of its own
  sanitizeResources: false,
  async fn(t) {
    await using world = await TabWorld.open();
    const docs = await publish(world, "docs", DOCS);
    const big = await publish(world, "big", { file: noise(20_000_000), small: "x" });
    const page = await world.page();

    await t.step("a path is opened by what is lacking, and saved as the NAR it was", async () => {
      const nar = await treeNar({ file: noise(20_000_000), small: "x" });
      const { states, hash, read } = await page.evaluate(async (path) => {
        const opened = await engine.open({ type: "path", path });
        const read = [...await engine.read(path, "file", 10_000_000, 10_000_004)];
        const whole = await engine.complete(path);
        const { blob } = await engine.save({ type: "nar", path });
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob!.arrayBuffer()));
        return { states: [opened.paths[0].state, whole.state], hash: [...hash], read };
      }, big);
      assert.deepEqual(states, ["partial", "whole"]);
      assert.deepEqual(hash, [...sha256(nar)]);
      assert.deepEqual(read, [...noise(20_000_000).subarray(10_000_000, 10_000_004)]);
    });

    await t.step("errors keep what is known of them on the way to the page", async () => {
      const fault = await page.evaluate(async () => {
        try {
          await engine.list("0".repeat(32), "");
        } catch (error) {
          return [(error as Error).name, (error as { fault?: { kind?: string } }).fault?.kind];
        }
      });
      assert.deepEqual(fault, ["MissingError", "path"]);
    });

    await t.step("archives in every compression are unpacked in the worker", async () => {
      for (const compression of ["xz", "zstd", "gzip", "bzip2", "br"]) {
        const file = await narFile(await treeNar({ [compression]: noise(300_000, 9) }), compression);
        const suffix = { xz: ".xz", zstd: ".zst", gzip: ".gz", bzip2: ".bz2", br: ".br" }[compression];
        const { path, fault } = await page.evaluate(async ([bytes, name]) => {
          const file = new File([Uint8Array.fromBase64(bytes)], name);
          const { paths, refused } = await engine.open({ type: "files", files: [file] });
          return { path: paths[0]?.path, fault: refused[0]?.fault.message };
        }, [file.bytes.toBase64(), `dropped.nar${suffix}`]);
        assert.equal(fault, undefined);
        assert.match(path ?? "none", /-dropped$/);
      }
    });

    await t.step("a folder that is dropped, and what another tab sees of it", async () => {
      const other = await world.page();
      const changed = other.evaluate(() =>
        new Promise<void>((resolve) =>
          void engine.watch((globalThis as unknown as { proxy: <T>(f: T) => T }).proxy(resolve))
        )
      );
      await new Promise((resolve) => setTimeout(resolve, 300)); // until it watches
      const path = await page.evaluate(async () => {
        const entries = [{ path: "a/b", file: new File(["x"], "b") }, { path: "empty" }];
        return (await engine.open({ type: "folder", name: "my folder", entries })).paths[0].path;
      });
      await changed;
      const stored = await other.evaluate(async () => (await engine.stored()).map(({ path }) => path));
      assert.ok(stored.includes(path), "the other tab has it");
      await other.close();
    });

    await t.step("what is text comes compressed, and is told as what it took on the way", async () => {
      const text = await publish(world, "text", {
        words: "some words that stand here again and again\n".repeat(50_000),
      });
      const { done, moved } = await page.evaluate(async (path) => {
        const { proxy } = globalThis as unknown as { proxy: <T>(f: T) => T };
        let last = { done: 0, moved: 0 };
        const report = proxy((progress: { done: number; moved: number }) => void (last = progress));
        await engine.open({ type: "path", path });
        await engine.complete(path, undefined, report);
        await new Promise((resolve) => setTimeout(resolve, 300)); // until the platform has told of it
        return last;
      }, text);
      assert.ok(done > 2_000_000, `${done}`);
      assert.ok(moved < 200_000, `${moved} bytes moved`);
    });

    await t.step("what is deleted gives its room back", async () => {
      const large = await publish(world, "large", { noise: noise(30_000_000, 77) });
      const { before, during, after, freed } = await page.evaluate(async (path) => {
        const usage = async () => (await engine.overview()).stored;
        const before = await usage();
        await engine.open({ type: "path", path }, { everything: true });
        const during = await usage();
        const { freed } = await engine.remove([path]);
        return { before, during, after: await usage(), freed };
      }, large);
      assert.ok(during - before >= 30_000_000);
      assert.equal(after, before);
      assert.ok(freed >= 30_000_000);
      const packs = await page.evaluate(async () => {
        const open = indexedDB.open("firn");
        const database = await new Promise<IDBDatabase>((resolve) =>
          open.onsuccess = () => resolve(open.result)
        );
        const packs = IDBKeyRange.bound("pack/", "pack/\x7f"); // without what is held back for deleting
        const all = database.transaction("packs").objectStore("packs").getAll(packs);
        const values = await new Promise<(Blob | { size?: number; bytes?: Blob })[]>((resolve) => {
          all.onsuccess = () => resolve(all.result);
        });
        database.close();
        return values.reduce((sum, value) => sum + ((value as Blob).size ?? 0), 0);
      });
      assert.ok(packs > 15_000_000 && packs < 30_000_000, `${packs} bytes of packs`);
    });

    await t.step("documentation opens as web pages whose scripts are off", async () => {
      await page.evaluate(async (path) => {
        await engine.open({ type: "path", path });
        const registration = await navigator.serviceWorker.register("service_worker.js");
        await navigator.serviceWorker.ready;
        while (registration.active?.state !== "activated") {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }, docs);
      world.requests.length = 0;
      const tab = await world.context.newPage();
      await tab.goto(`${world.url}/nix/store/${docs}/`);
      assert.deepEqual(await seen(tab), { heading: "before", title: "", color: "rgb(1, 2, 3)", width: 7 });
      assert.deepEqual(
        world.requests.filter((line) => line.includes("/nix/store/")),
        [],
        "all from the tab's store",
      );
      await tab.close();
    });

    await t.step(
      "scripts of packages run on the content origin, where they can do nothing to the page",
      async () => {
        const tab = await world.context.newPage();
        await tab.goto(`${world.contentUrl}/nix/store/${docs}/`);
        assert.equal((await seen(tab)).heading, "scripts ran");
        const put = await tab.evaluate(async (url) => {
          return await fetch(`${url}/blob`, { method: "PUT", body: "x" }).then(
            (answer) => answer.status,
            () => "blocked",
          );
        }, world.url);
        assert.ok(put === "blocked" || put === 403, String(put));
        await tab.close();
      },
    );

    await t.step("without the server the page opens, reads what is here, and shows web pages", async () => {
      await page.evaluate((path) => engine.complete(path).then(() => {}), docs);
      await world.stop();
      const main = await world.context.newPage();
      await main.goto(`${world.url}/`);
      assert.match(await main.content(), /<title>[^<]*firn/i);
      await main.close();
      const tab = await world.context.newPage();
      await tab.goto(`${world.url}/nix/store/${docs}/`);
      assert.deepEqual(await seen(tab), { heading: "before", title: "", color: "rgb(1, 2, 3)", width: 7 });
      await tab.goto(`${world.url}/nix/store/${docs}/more/`);
      assert.match(await tab.content(), /page\.txt/);
      const answer = await tab.goto(`${world.url}/nix/store/${pathOf("unknown")}/`);
      assert.equal(answer!.status(), 404);
      assert.match(await tab.content(), /not kept here/);
      const bytes = await page.evaluate(
        (path) => engine.read(path, "small", 0, 10).then((bytes) => [...bytes]),
        big,
      );
      assert.deepEqual(bytes, [120]);
      const fault = await page.evaluate(async (path) => {
        return await engine.open({ type: "path", path }).then(() => "opened", (error: Error) => error.name);
      }, pathOf("other"));
      assert.equal(fault, "RemoteError");
    });
  },
});
