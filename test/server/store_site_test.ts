// Store paths as a web site: types, listings, ranges, symlinks; and what a package contains has no power on the page's origin.
import assert from "node:assert/strict";
import { createServer } from "../../src/server/app.ts";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { fromText } from "../../src/bytes/bytes.ts";
import { narFile, narOf, noise, pathOf, type Site, siteTest, treeNar } from "./_site.ts";

const BASE = pathOf("docs");
const LIB = pathOf("lib");

async function publish(site: Site): Promise<void> {
  await site.publish(LIB, await narFile(await treeNar({ "logo.png": noise(5000), notes: "plain words\n" })));
  await site.publish(
    BASE,
    await narFile(
      await treeNar({
        "index.html": "<h1>docs</h1><script src=app.js></script>",
        "app.js": "alert(1)",
        "style.css": "h1 { color: red }",
        "pic.svg": "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        api: { "a.html": "<p>a", "x&y.txt": "x" },
        binary: noise(100),
        logo: { link: `/nix/store/${LIB}/logo.png` },
        out: { link: "/etc/passwd" },
      }),
    ),
  );
}

async function assertStill(answer: Response): Promise<void> {
  const policy = answer.headers.get("content-security-policy") ?? "";
  const directives = Object.fromEntries(policy.split(/; */).map((part) => part.split(/ (.*)/).slice(0, 2)));
  assert.equal(directives.sandbox, "allow-same-origin", "a sandbox that allows no scripts");
  assert.equal(directives["default-src"], "'none'");
  for (
    const name of ["script-src", "script-src-elem", "connect-src", "worker-src", "object-src", "frame-src"]
  ) {
    assert.equal(directives[name], undefined, "falls back to none");
  }
  assert.equal(directives["form-action"], "'none'");
  assert.equal(directives["base-uri"], "'none'");
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  assert.doesNotMatch(answer.headers.get("content-type") ?? "", /javascript|wasm/);
  await answer.body?.cancel();
}

siteTest(
  "store site: files have their types, and nothing has scripts on the server's own origin",
  async (site) => {
    await publish(site);
    const types: Record<string, string | null> = {};
    for (
      const file of ["index.html", "app.js", "style.css", "pic.svg", "api/a.html", "binary", "logo", "api/"]
    ) {
      const answer = await site.get(`nix/store/${BASE}/${file}`);
      assert.equal(answer.status, 200, file);
      types[file] = answer.headers.get("content-type");
      await assertStill(answer);
    }
    assert.deepEqual(types, {
      "index.html": "text/html",
      "app.js": "text/plain; charset=utf-8",
      "style.css": "text/css",
      "pic.svg": "image/svg+xml",
      "api/a.html": "text/html",
      binary: "application/octet-stream",
      logo: "application/octet-stream",
      "api/": "text/html; charset=utf-8",
    });
  },
);

siteTest(
  "store site: folders give their index or a listing, symlinks are followed inside the store",
  async (site) => {
    await publish(site);
    const root = await site.get(`nix/store/${BASE}/`);
    assert.match(await root.text(), /<h1>docs/);
    const bare = await site.get(`nix/store/${BASE}?x`);
    assert.deepEqual([bare.status, bare.headers.get("location")], [302, `/nix/store/${BASE}/?x`]);
    const listing = await (await site.get(`nix/store/${BASE}/api/`)).text();
    assert.match(listing, /<a href="\.\/x%26y\.txt">x&#38;y\.txt<\/a>/);
    assert.equal(await (await site.get(`nix/store/${BASE}/api/x%26y.txt`)).text(), "x");
    const logo = await site.get(`nix/store/${BASE}/logo`);
    assert.deepEqual(new Uint8Array(await logo.arrayBuffer()), noise(5000));
    for (const path of ["out", "none", "api/%2e%2e/x", "app.js/", "%zz", "", "../../firn.json"]) {
      const answer = await site.get(`nix/store/${BASE}/${path}`.replace(`${BASE}/../..`, `${BASE}/..%2f..`));
      if (path === "") assert.equal(answer.status, 200);
      else assert.equal(answer.status, 404, path);
      await answer.body?.cancel();
    }
    assert.equal((await site.get(`nix/store/${BASE.replace("docs", "dogs")}/`)).status, 404, "another name");
  },
);

siteTest("store site: ranges, conditions, and no service workers", async (site) => {
  await publish(site);
  const url = `nix/store/${BASE}/binary`;
  const part = await site.get(url, { range: "bytes=10-19" });
  assert.deepEqual([part.status, part.headers.get("content-range")], [206, "bytes 10-19/100"]);
  assert.deepEqual(new Uint8Array(await part.arrayBuffer()), noise(100).slice(10, 20));
  assert.equal((await site.get(url, { range: "bytes=200-" })).status, 416);
  const etag = part.headers.get("etag")!;
  assert.equal((await site.get(url, { "if-none-match": etag })).status, 304);
  const head = await site.send("HEAD", url);
  assert.deepEqual([head.headers.get("content-length"), (await head.arrayBuffer()).byteLength], ["100", 0]);
  const worker = await site.get(`nix/store/${BASE}/app.js`, { "service-worker": "script" });
  assert.equal(worker.status, 403);
});

siteTest("store site: names that are HTML or control characters are only shown", async (site) => {
  const names = ["<img src=x onerror=alert(1)>", "\"'&", "a\u202eb", "line\nbreak", "javascript:alert(1)"]
    .sort();
  const nar = await treeNar(Object.fromEntries(names.map((name) => [name, "x"])));
  await site.publish(pathOf("hostile"), await narFile(nar));
  const html = await (await site.get(`nix/store/${pathOf("hostile")}/`)).text();
  assert.doesNotMatch(html, /<img|onerror=alert\(1\)>"|[\u202e]/);
  const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href);
  assert.equal(links.length, names.length + 1);
  for (const href of links.slice(1)) {
    assert.match(href, /^\.\/[A-Za-z0-9._~%-]+$/);
    assert.equal((await site.get(`nix/store/${pathOf("hostile")}/${href}`)).status, 200, href);
  }
});

siteTest(
  "store site: on an origin of its own scripts are scripts, and nothing else is there",
  async (site) => {
    await publish(site);
    const { contents, fetch } = createServer({
      ...site.services,
      codec: openCodecs(),
      hashes: nativeHashes,
      contentOrigin: "http://contents.test",
    });
    const facts = await (await fetch(new Request("http://main.test/firn.json"))).json();
    assert.equal(facts.contentOrigin, "http://contents.test");
    const script = await contents(new Request(`http://contents.test/nix/store/${BASE}/app.js`));
    assert.equal(script.headers.get("content-type"), "text/javascript; charset=utf-8");
    assert.doesNotMatch(script.headers.get("content-security-policy")!, /sandbox/);
    for (
      const path of [
        "",
        "firn.json",
        "nix-cache-info",
        `blob/${"0".repeat(64)}`,
        `${BASE.slice(0, 32)}.narinfo`,
      ]
    ) {
      assert.equal((await contents(new Request(`http://contents.test/${path}`))).status, 404, path);
    }
    const put = new Request("http://contents.test/blob", { method: "PUT", body: "x" });
    assert.equal((await contents(put)).status, 404);
  },
);

siteTest("store site: names that are not text are found by their bytes", async (site) => {
  const nar = await narOf([
    { type: "directory", name: fromText("") },
    { type: "file", name: Uint8Array.of(0x61, 0xff), executable: false, size: 1 },
    { type: "data", bytes: fromText("x") },
    { type: "end" },
    { type: "end" },
  ]);
  await site.publish(pathOf("bytes"), await narFile(nar));
  assert.match(await (await site.get(`nix/store/${pathOf("bytes")}/`)).text(), /href="\.\/a%ff"/);
  assert.equal(await (await site.get(`nix/store/${pathOf("bytes")}/a%ff`)).text(), "x");
});
