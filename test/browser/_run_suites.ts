/** Runs the suites in a browser, and tells every case as a step of a test. */
import assert from "node:assert/strict";
import { Channel } from "../../src/bytes/channel.ts";
import type { About, Result } from "./_case.ts";
import { bundle, servePage, urlOf } from "./_chromium.ts";
import { SUITES } from "./_suites.ts";

const VECTORS = new URL("../vectors/", import.meta.url);
const WASM: Readonly<Record<string, string>> = {
  "/wasm/liblzma": "node-liblzma/wasm/liblzma.wasm",
  "/wasm/brotli": "brotli-dec-wasm/web/bg.wasm",
};
/** Milliseconds after which a browser that tells nothing is given up: more than a case may take. */
const PATIENCE = 180_000;

/** What a page tells, in its order. */
type Told = { about: About } | { result: Result } | { end: true };

let script: Promise<string> | undefined;

export interface SuiteRun {
  readonly realm: About["realm"];
  /** Whether the page may share memory with workers. */
  readonly isolated: boolean;
  /** Opens this address in a browser, until it is disposed of. */
  open(url: string): Promise<AsyncDisposable>;
}

/** Runs all suites; each case is a step. */
export async function runSuites(t: Deno.TestContext, { realm, isolated, open }: SuiteRun): Promise<void> {
  const told = new Channel<Told>(Infinity);
  const page = servePage(await (script ??= bundle(new URL("suites_page.ts", import.meta.url))), {
    isolated,
    handle: (request, path) => answer(request, path, told),
  });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => page.shutdown());
  stack.use(await open(`${urlOf(page)}/#${realm}`));
  const reader = told[Symbol.asyncIterator]();
  const about = await next(reader);
  assert.ok("about" in about, JSON.stringify(about));
  assert.equal(about.about.realm, realm);
  assert.equal(about.about.isolated, isolated);
  let cases = 0;
  for (const suite of SUITES) {
    await t.step(suite.name, async (t) => {
      for (const { name } of suite.cases) {
        const said = await next(reader);
        assert.ok("result" in said, JSON.stringify(said));
        assert.deepEqual([said.result.suite, said.result.name], [suite.name, name]);
        cases++;
        await t.step(name, () => {
          if (said.result.error !== undefined) throw new Error(said.result.error);
        });
      }
    });
  }
  assert.deepEqual(await next(reader), { end: true });
  assert.ok(cases > 160, `only ${cases} cases ran`);
}

async function next(reader: AsyncIterator<Told>): Promise<Told> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("Cannot go on: the browser tells nothing any more")), PATIENCE);
  });
  try {
    const { done, value } = await Promise.race([reader.next(), silence]);
    assert.ok(!done, "nothing more is told");
    return value;
  } finally {
    clearTimeout(timer);
  }
}

async function answer(request: Request, path: string, told: Channel<Told>): Promise<Response> {
  if (request.method === "GET" && path.startsWith("/vectors/")) {
    return new Response(await Deno.readFile(new URL(path.slice("/vectors/".length), VECTORS)));
  }
  const wasm = request.method === "GET" ? WASM[path] : undefined;
  if (wasm) return new Response(await Deno.readFile(new URL(import.meta.resolve(wasm))));
  if (request.method !== "POST") return new Response(null, { status: 404 });
  const said = await request.json();
  if (path === "/about") told.push({ about: said }, 0);
  else if (path === "/result") told.push({ result: said }, 0);
  else if (path === "/end") told.push({ end: true }, 0);
  else told.fail(new Error(`in the browser: ${said.message}`));
  return new Response();
}
