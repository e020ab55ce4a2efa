/** The built page as the server gives it: types, guards, caching, encodings. */
import assert from "node:assert/strict";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { readPage } from "../../src/cli/page_files.ts";
import { permissions, testNeeding } from "../needs.ts";
import { Site } from "../server/_site.ts";

const test = testNeeding(permissions);
const HOST = "http://firn.test";

async function open(): Promise<Site> {
  const page = await readPage();
  assert.ok(page, "web/dist is committed");
  return await Site.open("memory:", { page });
}

/** All that the page's HTML names. */
async function named(site: Site): Promise<string[]> {
  const html = await (await site.get("")).text();
  const found = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path);
  assert.ok(found.length >= 6, html);
  return found;
}

test("the page is at the root, guarded against what packages contain", async () => {
  await using site = await open();
  const answer = await site.get("");
  const html = await answer.text();
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(answer.headers.get("cache-control"), "no-cache");
  const policy = answer.headers.get("content-security-policy") ?? "";
  for (
    const rule of [
      "default-src 'self'",
      "script-src 'self' 'wasm-unsafe-eval'",
      "object-src 'none'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ]
  ) {
    assert.ok(policy.split("; ").includes(rule), `${rule} in ${policy}`);
  }
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval'.*unsafe-eval| 'unsafe-eval'/);
  assert.doesNotMatch(
    html,
    /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/,
    "nothing inline, which the policy forbids",
  );
});

test("every file of the page has its type, is isolated, and is sniffed by nobody", async () => {
  await using site = await open();
  for (const path of ["", "service_worker.js", "manifest.webmanifest", ...await named(site)]) {
    const answer = await site.get(path);
    await answer.body?.cancel();
    assert.equal(answer.status, 200, path);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(answer.headers.get("cross-origin-opener-policy"), "same-origin", path);
    assert.equal(answer.headers.get("cross-origin-embedder-policy"), "require-corp", path);
    const type = answer.headers.get("content-type") ?? "";
    const ending = path.split(".").at(-1)!;
    const wanted =
      { js: /^text\/javascript/, css: /^text\/css/, svg: /^image\/svg/, png: /^image\/png/ }[ending];
    if (wanted) assert.match(type, wanted, path);
    const hashed = path.startsWith("assets/");
    assert.match(answer.headers.get("cache-control") ?? "", hashed ? /immutable/ : /^no-cache$/, path);
  }
});

test("files are compressed for who takes it, and known again by their tag", async () => {
  await using site = await open();
  const path = (await named(site)).find((name) => name.endsWith(".css"))!;
  const plain = await (await site.get(path)).bytes();
  const unpack = { br: brotliDecompressSync, gzip: gunzipSync };
  const tags = new Set<string>();
  for (
    const [accepted, encoding] of [
      ["gzip, deflate, br, zstd", "br"],
      ["gzip", "gzip"],
      ["br;q=0, gzip;q=0.5", "gzip"],
      ["identity", null],
    ] as const
  ) {
    const answer = await site.get(path, { "accept-encoding": accepted });
    assert.equal(answer.headers.get("content-encoding"), encoding, accepted);
    assert.match(answer.headers.get("vary") ?? "", /Accept-Encoding/);
    const body = await answer.bytes();
    assert.equal(answer.headers.get("content-length"), String(body.length));
    assert.deepEqual(encoding ? new Uint8Array(unpack[encoding](body)) : body, plain);
    const etag = answer.headers.get("etag")!;
    tags.add(etag);
    const again = await site.get(path, { "accept-encoding": accepted, "if-none-match": etag });
    assert.equal(again.status, 304);
    assert.equal((await again.bytes()).length, 0);
    const head = await site.send("HEAD", path, { headers: { "accept-encoding": accepted } });
    assert.deepEqual([...head.headers], [...answer.headers], `HEAD, ${accepted}`);
  }
  assert.equal(tags.size, 3, "each encoding has a tag of its own");
});

test("what the page lacks is not answered with the page", async () => {
  await using site = await open();
  for (const path of ["assets/none.js", "assets/", "assets/../mod.ts", "index.html", "web/dist/index.html"]) {
    const answer = await site.get(path);
    await answer.body?.cancel();
    assert.equal(answer.status, 404, path);
  }
  const { status } = await site.app.fetch(new Request(`${HOST}/nix-cache-info`));
  assert.equal(status, 200, "the cache is where it was");
});

test("the server tells a page how Nix is pointed at it", async () => {
  await using site = await Site.open("memory:", { priority: 7, strictReferences: true });
  const answer = await site.get("firn.json");
  const facts = await answer.json();
  assert.deepEqual(
    { ...facts, contentOrigin: undefined },
    {
      contents: 1,
      contentOrigin: undefined,
      storeDir: "/nix/store",
      priority: 7,
      publicKeys: [],
      strictReferences: true,
    },
  );
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
});
