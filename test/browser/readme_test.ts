/** The example of the README for browsers: bundled as an app would be, and run in Chromium. */
import assert from "node:assert/strict";
import { testNeeding } from "../needs.ts";
import { bundle, chromiumInstalled, launchChromium, servePage, urlOf } from "./_chromium.ts";

const ROOT = new URL("../../", import.meta.url);

/** The first example under this heading, with the path of the library. */
async function exampleUnder(heading: string): Promise<string> {
  const text = await Deno.readTextFile(new URL("README.md", ROOT));
  const example = text.split(`\n### ${heading}\n`)[1]?.match(/```ts ignore\n([\s\S]*?)```/)?.[1];
  assert.ok(example, `no example under ${heading}`);
  return example.replaceAll('"./mod.ts"', JSON.stringify(new URL("mod.ts", ROOT).href));
}

testNeeding(chromiumInstalled)({
  name: "the README's example for browsers runs in Chromium, and keeps its store",
  sanitizeOps: false, // the browser is a process with pipes of its own
  sanitizeResources: false,
  async fn() {
    await using resources = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir();
    resources.defer(() => Deno.remove(folder, { recursive: true }));
    const app = `${folder}/app.ts`;
    await Deno.writeTextFile(app, await exampleUnder("In a browser"));
    const check = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", `--config=${new URL("deno.json", ROOT).pathname}`, app],
    }).output();
    assert.ok(check.success, new TextDecoder().decode(check.stderr));

    const nar = await Deno.readFile(new URL("../vectors/nar/complicated.nar", import.meta.url));
    const server = servePage(await bundle(new URL(`file://${app}`)), {
      handle: (_, path) => path === "/hello.nar" ? new Response(nar) : new Response(null, { status: 404 }),
    });
    resources.defer(() => server.shutdown());
    const browser = await launchChromium();
    resources.defer(() => browser.close());
    const page = await (await browser.newContext()).newPage();
    const errors: Error[] = [];
    page.on("pageerror", (error) => errors.push(error));
    for (const visit of ["first", "second"]) {
      const said = page.waitForEvent("console", {
        predicate: (message) => message.type() === "log",
        timeout: 60_000,
      });
      await page.goto(urlOf(server));
      assert.equal((await said).text(), `${nar.length} ${nar.length}`, visit);
    }
    assert.deepEqual(errors, []);
    const kept = await page.evaluate("indexedDB.databases()") as { name: string; version: number }[];
    assert.deepEqual(kept, [{ name: "firn-store", version: 1 }]);
  },
});
