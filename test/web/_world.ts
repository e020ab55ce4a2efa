/** What the tests of the page share: a running firn, as a user starts it, that serves the page, and Chromium that opens it. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { chromiumInstalled, launchChromium } from "../browser/_chromium.ts";
import { FirnServer } from "../e2e/server.ts";
import { type Need, testNeeding } from "../needs.ts";
import {
  assertTaken,
  narFile,
  narInfo,
  type NarInfoChanges,
  narInfoName,
  pathOf,
  type Tree,
  treeNar,
} from "../server/_site.ts";

/** How long anything may take on a loaded machine, in milliseconds. Nothing waits longer than it must. */
export const PATIENCE = 60_000;

/** Publishes a NAR as a path of this name on a server; returns the base name. */
export async function publishNar(
  server: string,
  name: string,
  nar: Bytes,
  changes: NarInfoChanges = {},
): Promise<string> {
  const base = pathOf(name);
  const file = await narFile(nar);
  await assertTaken(await fetch(`${server}/${file.url}`, { method: "PUT", body: file.bytes }));
  const info = narInfo(base, file, changes);
  await assertTaken(await fetch(`${server}/${narInfoName(base)}`, { method: "PUT", body: info }));
  return base;
}

export async function publish(
  server: string,
  name: string,
  tree: Tree,
  changes: NarInfoChanges = {},
): Promise<string> {
  return await publishNar(server, name, await treeNar(tree), changes);
}

/** A page in Chromium that a firn server gave. */
export class PageWorld implements AsyncDisposable {
  /** Errors of the page that nobody caught, and what its policy refused. */
  readonly errors: string[] = [];

  private constructor(
    readonly server: FirnServer,
    readonly browser: Browser,
    readonly context: BrowserContext,
    readonly page: Page,
    readonly resources: AsyncDisposableStack,
  ) {}

  static async open(
    folder: string,
    options: BrowserContextOptions = {},
    ...serve: string[]
  ): Promise<PageWorld> {
    await using resources = new AsyncDisposableStack();
    const server = resources.use(await FirnServer.start(`${folder}/store`, ...serve));
    const browser = await launchChromium();
    resources.defer(() => browser.close());
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    const world = new PageWorld(server, browser, context, page, resources.move());
    page.on("pageerror", (error) => world.errors.push(String(error)));
    page.on("console", (message) => {
      if (/Content Security Policy|Uncaught/.test(message.text())) world.errors.push(message.text());
    });
    page.on("dialog", (dialog) => {
      world.errors.push(`a dialog said ${dialog.message()}`);
      dialog.dismiss();
    });
    await page.goto(`${server.url}/`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    return world;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }

  /** Goes to an address of the page. */
  async go(fragment: string): Promise<void> {
    await this.page.evaluate(`location.hash = ${JSON.stringify(fragment)}`);
  }

  /** Opens a store path as a person does, and waits until its files are seen. */
  async openPath(base: string, everything = false): Promise<void> {
    const { page } = this;
    await this.go("#/");
    await page.getByLabel("Store path or hash").fill(`/nix/store/${base}`);
    if (everything) await page.getByLabel("fetch all contents now").check();
    await page.getByRole("button", { name: "Open", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: base.slice(33) }).waitFor();
  }

  /** A row of the tree of files. */
  row(name: string) {
    return this.page.getByRole("treeitem").filter({ hasText: name }).first();
  }

  /** That nothing went wrong unseen. */
  assertSound(): void {
    assert.deepEqual(this.errors, []);
  }
}

/** Declares a test of the page, with an empty folder of its own. */
export function pageTest(
  name: string,
  body: (folder: string, t: Deno.TestContext) => Promise<void>,
  ...needs: Need[]
): void {
  testNeeding(chromiumInstalled, ...needs)({
    name,
    sanitizeOps: false, // the browser is a process with pipes of its own
    sanitizeResources: false,
    async fn(t) {
      const folder = await Deno.makeTempDir({ prefix: "firn-web-" });
      try {
        await body(folder, t);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

const axe = createRequire(import.meta.url).resolve("axe-core");

/** That a page has no serious or critical fault of accessibility. */
export async function assertAccessible(page: Page, what: string): Promise<void> {
  // Run as the browser's tools do: the page's own policy lets no foreign script in.
  await page.evaluate(await Deno.readTextFile(axe));
  const { violations } = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })") as {
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const told = grave.map(({ id, nodes }) =>
    `${id}: ${
      nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 200)}\n    ${failureSummary}`)
        .join("\n  ")
    }`
  );
  assert.deepEqual(told, [], what);
}

/** A version of a program: text, an image, something that runs, folders, a symlink. */
export function program(version: string, more: Tree = {}): Tree {
  return {
    bin: { "hello": `#!/bin/sh\n# version ${version}\necho "Hello, ${version}"\n`, hi: { link: "hello" } },
    share: {
      "default.nix": `{ pkgs }:\n# A comment\npkgs.hello.override { version = "${version}"; }\n`,
      "pixel.svg":
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>',
      "data.bin": Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7 + (i >> 8)) & 255),
      doc: { README: "Read me\n" },
    },
    ...more,
  };
}

/** Drags files and folders of this machine onto the page and drops them there, as the browser is told of it by a desktop. */
export async function drop(page: Page, ...paths: string[]): Promise<void> {
  await drag(page, paths, async (send) => {
    await send("dragOver");
    await page.getByText("Drop it to open it").waitFor();
    await send("drop");
  });
}

type DragEvent = "dragEnter" | "dragOver" | "drop";

/** Drags files and folders onto the page, and then does with them what is told. */
export async function drag(
  page: Page,
  files: string[],
  then: (send: (type: DragEvent) => Promise<void>) => Promise<void>,
): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files, dragOperationsMask: 1 };
  const send = async (type: DragEvent) => {
    await session.send("Input.dispatchDragEvent", { type, x: 640, y: 400, data });
  };
  await send("dragEnter");
  await then(send);
  await session.detach();
}
