/**
 * The built page in Chromium, served by a firn server, and its engine, called without the page's looks: by an extra page of the same
 * origin that starts the same worker.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import type { Bytes } from "../../../src/bytes/bytes.ts";
import type { ServerOptions } from "../../../src/server/app.ts";
import { openCodecs } from "../../../src/adapters/codecs/codecs.ts";
import { nativeHashes } from "../../../src/adapters/native/hashes.ts";
import { type HomeOptions, openHome } from "../../../src/cli/home.ts";
import { createServer } from "../../../src/server/app.ts";
import { type Services, servicesOver } from "../../../src/store/services.ts";

const FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync";

/** The built page, made anew. */
async function builtPage(): Promise<Map<string, Bytes>> {
  const folder = fileURLToPath(new URL("../../..", import.meta.url));
  const code = `
    const { buildPage } = await import("./web/build.ts");
    for (const { path, bytes } of await buildPage()) console.log(JSON.stringify([path, bytes.toBase64()]));`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--node-modules-dir=auto", code],
    cwd: folder,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const lines = new TextDecoder().decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
  return new Map(lines.map(([path, bytes]) => [path, Uint8Array.fromBase64(bytes)]));
}

async function testScript(worker: string): Promise<Bytes> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--platform=browser", "--quiet", "engine_page.ts"],
    cwd: fileURLToPath(new URL(".", import.meta.url)),
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextEncoder().encode(
    new TextDecoder().decode(stdout).replace("WORKER_OF_THE_PAGE", worker),
  ) as Bytes;
}

/** A server with the page, and a browser. */
export class TabWorld implements AsyncDisposable {
  readonly requests: string[] = [];
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;

  private constructor(
    readonly services: Services,
    readonly handle: (request: Request) => Response | Promise<Response>,
    readonly context: BrowserContext,
    readonly url: string,
    readonly contentUrl: string,
    /** The folder of the browser's profile. */
    readonly profile: string,
    server: Deno.HttpServer<Deno.NetAddr>,
    readonly resources: AsyncDisposableStack,
  ) {
    this.#server = server;
  }

  static async open(
    options: Partial<ServerOptions> = {},
    address = "memory:",
    homeOptions: HomeOptions = {},
  ): Promise<TabWorld> {
    await using resources = new AsyncDisposableStack();
    const files = await builtPage();
    const worker = [...files.keys()].find((path) => path.startsWith("assets/engine_start-"))!;
    files.set("engine.js", await testScript(worker));
    files.set(
      "engine.html",
      new TextEncoder().encode(
        '<!doctype html><meta charset="utf-8"><script type="module" src="engine.js"></script>',
      ),
    );
    const home = resources.use(await openHome(address, () => {}, homeOptions));
    const services = servicesOver(home);
    let contents: (request: Request) => Response | Promise<Response> = () =>
      new Response(null, { status: 503 });
    const contentServer = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (r) => contents(r),
    );
    resources.defer(() => contentServer.shutdown());
    const contentUrl = `http://127.0.0.1:${contentServer.addr.port}`;
    const server = createServer({
      ...services,
      codec: openCodecs(),
      hashes: nativeHashes,
      page: { files },
      contentOrigin: contentUrl,
      ...options,
    });
    contents = server.contents;
    const world: { requests: string[] } = { requests: [] };
    const handle = (request: Request) => {
      world.requests.push(`${request.method} ${new URL(request.url).pathname}`);
      return server.fetch(request);
    };
    const listening = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handle);
    // With a profile on the disk: without one all that is stored would be in memory, of which there is less.
    const profile = await Deno.makeTempDir({ prefix: "firn-chromium-" });
    resources.defer(() => Deno.remove(profile, { recursive: true }));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: "/usr/bin/chromium",
      args: FLAGS.split(" "),
    });
    resources.defer(() => context.close()); // first of all: it holds connections to both
    const opened = new TabWorld(
      services,
      handle,
      context,
      `http://127.0.0.1:${listening.addr.port}`,
      contentUrl,
      profile,
      listening,
      resources.move(),
    );
    Object.defineProperty(opened, "requests", { get: () => world.requests });
    return opened;
  }

  /** The page without looks: `engine` is there as a global. */
  async page(): Promise<Page> {
    const page = await this.context.newPage();
    page.on("pageerror", (error) => console.error("in the page:", error));
    await page.goto(`${this.url}/engine.html`);
    await page.waitForFunction("globalThis.engine !== undefined");
    return page;
  }

  /** Stops the server: the page is on its own. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    // The browser keeps connections open, which are cut.
    const done = server?.shutdown();
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 500))]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
    await this.stop();
  }
}
