// Tokens and web pages: preflights, what a page may write with a token, and no window before a page's fetches.
import assert from "node:assert/strict";
import { guardedSite, tokenFor, told } from "./_tokens.ts";

const PAGE = "https://page.example";
const TOKEN = await tokenFor({ rights: ["write"] });
const PATHS = [
  ...[
    "nix-cache-info",
    `${"0".repeat(32)}.narinfo`,
    `nar/${"0".repeat(52)}.nar`,
    `log/${"0".repeat(32)}-x.drv`,
  ],
  ...[
    "blob",
    "blob/missing",
    "directory",
    "path-info",
    "nix/store/x/",
    "snix.castore.v1.BlobService/Stat",
    "token/revoked",
  ],
];

Deno.test("preflights of all routes are open and let Authorization come", async () => {
  const site = guardedSite();
  for (const path of PATHS) {
    const answer = await site.send("OPTIONS", path, {
      headers: {
        origin: PAGE,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
      },
    });
    await answer.body?.cancel();
    assert.equal(answer.status, 204, path);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*", path);
    assert.match(answer.headers.get("access-control-allow-headers")!, /\bauthorization\b/i, path);
    assert.equal(answer.headers.get("access-control-allow-credentials"), null);
  }
});

Deno.test("a page of another origin reads a private store with a token, and reads why without", async () => {
  const site = guardedSite();
  for (const path of PATHS.filter((path) => !/^(?:snix|token)/.test(path))) {
    const refused = await site.send("GET", path, { headers: { origin: PAGE } });
    assert.equal(refused.status, 401, path);
    assert.equal(refused.headers.get("access-control-allow-origin"), "*", path);
    await refused.body?.cancel();
    const answer = await site.send("GET", path, { token: TOKEN, headers: { origin: PAGE } });
    assert.notEqual(answer.status, 401, path);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*", path);
    await answer.body?.cancel();
  }
});

Deno.test("a page of another origin writes with a token somebody gave it, not with one the browser remembers", async () => {
  const site = guardedSite();
  const put = async (authorization: string) =>
    await told(await site.send("PUT", "blob", { body: "x", headers: { origin: PAGE, authorization } }));
  assert.equal((await put(`Bearer ${TOKEN}`))[0], 200);
  const [status, text] = await put(`Basic ${btoa(`me:${TOKEN}`)}`);
  assert.equal(status, 403);
  assert.match(text, /from a page of https:\/\/page\.example/);
  assert.equal((await put("Bearer abc"))[0], 401);
});

Deno.test("without a key a made-up token does not make a page of another origin one that may write", async () => {
  const { NEARBY_ACCESS } = await import("../../../src/server/access/nearby_access.ts");
  const site = guardedSite({}, { access: NEARBY_ACCESS });
  for (const path of ["blob", "snix.castore.v1.BlobService/Put"]) {
    const answer = await site.send(path === "blob" ? "PUT" : "POST", path, {
      token: "abc",
      local: true,
      body: "x",
      headers: { origin: PAGE, host: "localhost", "content-type": "application/proto" },
    });
    assert.equal(answer.status, 403, path);
    assert.match(await answer.text(), /from a page of/);
  }
});

Deno.test("Basic is offered to programs and for documents, not to what a page fetches", async () => {
  const site = guardedSite();
  const challenge = async (headers: Record<string, string>) =>
    (await site.send("GET", "nix-cache-info", { headers })).headers.get("www-authenticate")!;
  const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
  const offered: Record<string, string>[] = [
    {},
    { "user-agent": "curl/8.0 Nix/2.26.3" },
    { "user-agent": "git/2.50" },
    { "user-agent": browser, accept: "text/html,*/*;q=0.8" },
    { "user-agent": browser, "sec-fetch-mode": "navigate" },
  ];
  for (const headers of offered) {
    assert.match(await challenge(headers), /Basic realm="firn"/, JSON.stringify(headers));
  }
  const not: Record<string, string>[] = [
    { "user-agent": browser, accept: "*/*" },
    { "user-agent": browser },
    { "user-agent": browser, "sec-fetch-mode": "cors", accept: "text/html" },
    { "sec-fetch-mode": "same-origin" },
    { origin: PAGE },
  ];
  for (const headers of not) {
    assert.equal(await challenge(headers), 'Bearer realm="firn"', JSON.stringify(headers));
  }
});
