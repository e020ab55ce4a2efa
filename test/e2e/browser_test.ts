/** A page in Chromium against a store on another origin: calls, uploads, and refusals that arrive with their reason. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { fromHex } from "../../src/bytes/hex.ts";
import { bundle, chromiumInstalled, launchChromium, servePage } from "../browser/_chromium.ts";
import { testNeeding } from "../needs.ts";
import type { Deed } from "./browser_page.ts";
import { Listening } from "../server/_wire.ts";
import { Site } from "../server/_site.ts";

// Vectors of the castore fixtures: bytes 0 to 254, 4096 times, are two chunks.
const LENGTH = 255 * 4096;
const DIGEST = fromHex("a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2");
const DIGEST_TEXT = "blake3-qCxRVKegwmLG/bkpoxdYVkb4+8+AMm0Ke4dH7a8tmdI=";
const DIGEST_URL = "qCxRVKegwmLG_bkpoxdYVkb4-8-AMm0Ke4dH7a8tmdI";
const CHUNKS = [524_288, 520_192];
const LINUX = fromHex("28e337fc81c4c7b61f227027949a4012561ecead12c67f5f473ef1b8297035f0");

/** A page of an origin of its own, and a store beside it. */
class World implements AsyncDisposable {
  private constructor(
    readonly page: Page,
    readonly site: Site,
    readonly url: string,
    readonly resources: AsyncDisposableStack,
  ) {}

  static async open(): Promise<World> {
    await using resources = new AsyncDisposableStack();
    const pages = servePage(await bundle(new URL("browser_page.ts", import.meta.url)));
    resources.defer(() => pages.shutdown());
    const site = resources.use(
      await Site.open("memory:", {
        writingOrigins: [`http://127.0.0.1:${pages.addr.port}`],
        upgradeWebSocket: (request, protocol) => Deno.upgradeWebSocket(request, { protocol }),
      }),
    );
    const { url } = resources.use(new Listening(site));
    const browser = await launchChromium();
    resources.defer(() => browser.close()); // first of all: it holds connections to both
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error("in the page:", error));
    await page.goto(`http://127.0.0.1:${pages.addr.port}/`);
    await page.waitForFunction("globalThis.ask !== undefined");
    return new World(page, site, url, resources.move());
  }

  /** Has the page do something; returns what it tells. */
  async ask(deed: Deed, ...args: unknown[]): Promise<unknown> {
    return await this.page.evaluate(`ask(${[deed, ...args].map((arg) => JSON.stringify(arg)).join()})`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

testNeeding(chromiumInstalled)({
  name: "a page of another origin uploads, reads and calls",
  sanitizeOps: false, // the browser is a process with pipes of its own
  sanitizeResources: false,
  async fn(t) {
    await using world = await World.open();
    const { url } = world;

    await t.step("an upload over HTTP", async () => {
      assert.deepEqual(await world.ask("putOverHttp", url, LENGTH), { digest: DIGEST_TEXT, size: LENGTH });
      assert.ok(await world.site.services.blobs.has(DIGEST));
    });

    await t.step("a range over HTTP", async () => {
      assert.deepEqual(await world.ask("readOverHttp", url, DIGEST_URL, "bytes=524286-524289"), {
        status: 206,
        range: `bytes 524286-524289/${LENGTH}`,
        bytes: [524286, 524287, 524288, 524289].map((i) => i % 255),
      });
    });

    await t.step("a refusal over HTTP", async () => {
      const { status, text } = await world.ask("refusedOverHttp", url, DIGEST_URL) as Record<string, unknown>;
      assert.equal(status, 400);
      assert.match(String(text), /^Cannot accept blob digest blake3-qCxRVKeg\S+: the bytes give blake3-/);
    });

    await t.step("a client-streaming call over a WebSocket", async () => {
      const answer = await world.ask("putOverWebSocket", url, "x86_64-linux");
      const { code, received } = answer as { code: number; received: number[] };
      assert.equal(code, 1000);
      const text = received.map((byte) => String.fromCharCode(byte)).join("");
      const message = String.fromCharCode(0, 0, 0, 0, 34, 0x0a, 32, ...LINUX);
      assert.ok(text.includes(message), JSON.stringify(text));
      assert.match(text, /grpc-status: 0\r\n/);
    });

    for (const protocol of ["grpc-web", "connect", "connect json"]) {
      await t.step(`unary and server-streaming calls by ${protocol}, and their errors`, async () => {
        const answers = await world.ask("call", protocol, url, [...DIGEST], Array(32).fill(7));
        for (const answer of answers as Record<string, unknown>[]) {
          assert.deepEqual(answer.read, { length: LENGTH, severalMessages: true });
          assert.deepEqual(answer.stat, CHUNKS);
          assert.match(String(answer.absentRead), /^NotFound MissingError: .*blake3-BwcHBwc/);
          assert.match(String(answer.absentStat), /^NotFound MissingError: .*blake3-BwcHBwc/);
        }
      });
    }
  },
});
