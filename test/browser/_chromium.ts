/** Debian's Chromium, driven by playwright-core, and pages for it: bundled from TypeScript, served on loopback. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { tool } from "../needs.ts";

export const chromiumInstalled = tool("chromium", "chromium");

const EXECUTABLE = "/usr/bin/chromium";
const FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync";
const LAUNCH = { executablePath: EXECUTABLE, args: FLAGS.split(" ") };

/** A browser that forgets everything when it is closed. */
export async function launchChromium(): Promise<Browser> {
  return await chromium.launch(LAUNCH);
}

/** A browser that keeps what it is told to keep in this folder. */
export async function launchChromiumIn(folder: string): Promise<BrowserContext> {
  return await chromium.launchPersistentContext(folder, LAUNCH);
}

/** A module and all it imports, for browsers, in one script. */
export async function bundle(entry: URL): Promise<string> {
  const path = fileURLToPath(entry);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--platform=browser", "--quiet", path],
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** What a server of pages does with other requests than for its page and script. */
export type Handler = (request: Request, path: string) => Response | Promise<Response>;

export interface PageOptions {
  /** Whether the page may share memory with workers; default false. */
  readonly isolated?: boolean;
  readonly handle?: Handler;
}

/** Serves a page that runs a script, which stands at `/page.js`. */
export function servePage(script: string, options: PageOptions = {}): Deno.HttpServer<Deno.NetAddr> {
  const html = '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>';
  const isolation = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
  };
  const notFound: Handler = () => new Response(null, { status: 404 });
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const path = new URL(request.url).pathname;
    const response = path === "/"
      ? new Response(html, { headers: { "content-type": "text/html; charset=utf-8" } })
      : path === "/page.js"
      ? new Response(script, { headers: { "content-type": "text/javascript" } })
      : await (options.handle ?? notFound)(request, path);
    if (options.isolated) {
      for (const [name, value] of Object.entries(isolation)) response.headers.set(name, value);
    }
    return response;
  });
}

/** Where a server of pages is reached. */
export function urlOf({ addr }: Deno.HttpServer<Deno.NetAddr>): string {
  return `http://127.0.0.1:${addr.port}`;
}
