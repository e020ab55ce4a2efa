// Tokens for some names: what of a store they reach over HTTP, and what is as absent.
import assert from "node:assert/strict";
import { FormatError } from "../../../src/errors.ts";
import { encodePathInfo } from "../../../src/store/messages.ts";
import { glob, namePattern } from "../../../src/server/access/name_pattern.ts";
import { type NarFile, narFile, narInfo, narInfoName, pathOf, treeNar } from "../_site.ts";
import { type GuardedSite, guardedSite, tokenFor, told } from "./_tokens.ts";

const ALL = await tokenFor({ name: "all", rights: ["write"] });
const APP = await tokenFor({ name: "ci", rights: ["write"], paths: "app-* tool" });
const MINE = pathOf("app-1");
const OTHER = pathOf("other-1");
const FILE = await narFile(await treeNar({ "index.html": "<p>", link: { link: `/nix/store/${OTHER}` } }));
const BEYOND = /^Cannot write .*: the token "ci" \([0-9a-z]{16}\) is for paths of other names\n$/;

async function put(
  site: GuardedSite,
  path: string,
  body: BodyInit,
  token: string,
): Promise<[number, string]> {
  return await told(await site.send("PUT", path, { body: body as BodyInit, token }));
}

async function publish(
  site: GuardedSite,
  path: string,
  file: NarFile,
  token: string,
): Promise<[number, string]> {
  assert.equal((await put(site, file.url, file.bytes, token))[0], 200, "contents have no name");
  return await put(site, narInfoName(path), narInfo(path, file), token);
}

async function get(site: GuardedSite, path: string, token: string): Promise<[number, string]> {
  return await told(await site.send("GET", path, { token }));
}

for (const isPrivate of [true, false]) {
  Deno.test(`a narinfo is taken for names of the token only (${isPrivate ? "private" : "open"})`, async () => {
    const site = guardedSite({ private: isPrivate });
    const [status, text] = await publish(site, OTHER, FILE, APP);
    assert.equal(status, 403);
    assert.match(text, BEYOND);
    assert.match(text, /a path named other-1/);
    assert.equal((await get(site, narInfoName(OTHER), ALL))[0], 404);
    assert.equal((await publish(site, MINE, FILE, APP))[0], 200);
    assert.equal((await publish(site, pathOf("tool"), FILE, APP))[0], 200);
    assert.equal((await publish(site, pathOf("tool-2"), FILE, APP))[0], 403);
    assert.equal((await get(site, narInfoName(MINE), APP))[0], 200);
  });
}

Deno.test("a name that is lawful under a hash that is not its own gets nowhere", async () => {
  const site = guardedSite();
  assert.equal((await put(site, FILE.url, FILE.bytes, APP))[0], 200);
  const [status, text] = await put(site, narInfoName(OTHER), narInfo(MINE, FILE), APP);
  assert.equal(status, 400);
  assert.match(text, /does not belong to/);
});

Deno.test("a path info is taken for names of the token only", async () => {
  const site = guardedSite();
  for (const path of [MINE, OTHER]) assert.equal((await publish(site, path, FILE, ALL))[0], 200);
  const info = async (path: string) =>
    encodePathInfo((await site.services.pathInfos.get(path.slice(0, 32)))!);
  assert.equal((await put(site, "path-info", await info(MINE), APP))[0], 200);
  const [status, text] = await put(site, "path-info", await info(OTHER), APP);
  assert.equal(status, 403);
  assert.match(text, BEYOND);
});

Deno.test("in a private store everything of other names is as absent, and what has no name is read by its digest", async () => {
  const site = guardedSite({}, { alone: true });
  for (const path of [MINE, OTHER]) assert.equal((await publish(site, path, FILE, ALL))[0], 200);
  const { digest } = (await (await site.send("PUT", "blob", { token: ALL, body: "<p>" })).json()) as {
    digest: string;
  };
  const blob = `blob/${digest.slice(7).replaceAll("+", "-").replaceAll("/", "_").replace("=", "")}`;
  const drv = (path: string) => path.replace(/$/, ".drv");
  const realisation = (path: string) => JSON.stringify({ id: "x", outPath: path });
  const sides: [string, string][] = [];
  for (const path of [MINE, OTHER]) {
    sides.push([`log/${drv(path)}`, "built"]);
    sides.push([`realisations/sha256:${path.slice(0, 32)}!out.doi`, realisation(path)]);
    sides.push([`build-trace-v2/${drv(path)}/out.doi`, realisation(path)]);
  }
  sides.push(["debuginfo/0123", JSON.stringify({ archive: "../nar/x" })]);
  for (const [path, body] of sides) assert.equal((await put(site, path, body, ALL))[0], 200, path);
  const routes = (path: string) => [
    ...[narInfoName(path), `${path.slice(0, 32)}.ls`, `path-info/${path.slice(0, 32)}`, `nix/store/${path}/`],
    ...sides.map(([side]) => side).filter((side) => side.includes(path.slice(0, 32))),
  ];
  assert.equal(routes(MINE).length, 7);
  for (const [reader, token] of Object.entries({ ALL, APP })) {
    for (const path of routes(MINE)) {
      assert.equal((await get(site, path, token))[0], 200, `${path} by ${reader}`);
    }
    for (const path of routes(OTHER)) {
      const [status, text] = await get(site, path, token);
      assert.equal(status, token === ALL ? 200 : 404, `${path} by ${reader}`);
      if (token === APP) assert.equal(text, "404 Not Found\n");
    }
    assert.equal((await get(site, blob, token))[0], 200);
    assert.equal((await get(site, "debuginfo/0123", token))[0], token === ALL ? 200 : 404);
    const followed = await site.send("GET", `nix/store/${MINE}/link/`, { token });
    await followed.body?.cancel();
    assert.equal(followed.status, token === ALL ? 200 : 404, "a link into a path of another name");
  }
  const node = (await get(site, narInfoName(MINE), APP))[1].match(/^URL: (.*)$/m)![1];
  assert.equal((await get(site, node, APP))[0], 200);
});

Deno.test("the origin of contents asks for the same token, and shows the same names", async () => {
  const site = guardedSite();
  for (const path of [MINE, OTHER]) assert.equal((await publish(site, path, FILE, ALL))[0], 200);
  const ask = async (path: string, token?: string) => {
    const headers = new Headers(token === undefined ? {} : { authorization: `Basic ${btoa(`me:${token}`)}` });
    const answer = await site.server.contents(
      new Request(`http://contents.test/nix/store/${path}/`, { headers }),
    );
    await answer.body?.cancel();
    return answer.status;
  };
  assert.equal(await ask(MINE), 401);
  assert.equal(await ask(MINE, APP), 200);
  assert.equal(await ask(OTHER, APP), 404);
  assert.equal(await ask(OTHER, ALL), 200);
});

Deno.test("side files are taken for names of the token only", async () => {
  const site = guardedSite({ private: false });
  const cases: [string, string, number][] = [
    [`log/${MINE}.drv`, "x", 200],
    [`log/${MINE}`, "x", 200],
    [`log/${pathOf("tool")}.drv`, "x", 200],
    [`log/${OTHER}.drv`, "x", 403],
    ["log/no-store-path", "x", 403],
    ["realisations/sha256:00!out.doi", JSON.stringify({ outPath: MINE }), 200],
    ["realisations/sha256:00!out.doi", JSON.stringify({ outPath: `/nix/store/${MINE}` }), 200],
    ["realisations/sha256:00!out.doi", JSON.stringify({ outPath: OTHER }), 403],
    ["realisations/sha256:00!out.doi", JSON.stringify({ outPath: 1 }), 403],
    ["realisations/sha256:00!out.doi", "{}", 403],
    [`build-trace-v2/${MINE}.drv/out.doi`, JSON.stringify({ outPath: MINE }), 200],
    [`build-trace-v2/${MINE}.drv/out.doi`, JSON.stringify({ outPath: OTHER }), 403],
    [`build-trace-v2/${OTHER}.drv/out.doi`, JSON.stringify({ outPath: MINE }), 403],
    ["debuginfo/0123", "{}", 403],
    [`${OTHER.slice(0, 32)}.ls`, "{}", 200], // taken, and not kept
  ];
  for (const [path, body, expected] of cases) {
    const [status, text] = await put(site, path, body, APP);
    assert.equal(status, expected, `${path} ${body}: ${text}`);
    if (status === 403) assert.match(text, BEYOND);
    assert.notEqual((await put(site, path, body, ALL))[0], 403);
  }
});

Deno.test("a pattern is names with * for any part", () => {
  const cases: [pattern: string, name: string, matches: boolean][] = [
    ["*", "anything-1.0", true],
    ["app", "app", true],
    ["app", "app-1", false],
    ["app-*", "app-1", true],
    ["app-*", "app-", true],
    ["app-*", "app", false],
    ["app-*", "my-app-1", false],
    ["*-doc", "app-doc", true],
    ["*-doc", "app-docs", false],
    ["a*c*e", "abcde", true],
    ["a*c*e", "ace", true],
    ["a*c*e", "aec", false],
    ["a*a", "a", false],
    ["aa*aa", "aaa", false],
    ["a*b*b", "ab", false],
    ["**", "x", true],
    ["a?b", "a?b", true],
    ["a?b", "axb", false],
    ["a.b", "axb", false],
    ["app-*, tool", "tool", true],
    ["app-* tool", "app-2", true],
    [" app ", "app", true],
  ];
  for (const [pattern, name, matches] of cases) {
    assert.equal(namePattern(pattern)(name), matches, `${pattern} ${name}`);
  }
  for (const bad of ["", " ", ",", "a/b", "a\nb", "ä", "a[b]", "x".repeat(1001)]) {
    assert.throws(() => namePattern(bad), FormatError, JSON.stringify(bad));
  }
  assert.equal(glob("*a".repeat(400) + "b")("a".repeat(211)), false, "and takes no time");
});
