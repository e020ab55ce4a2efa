// Sending paths to a firn server: only what it lacks, proven there, and refusals that say why.
import assert from "node:assert/strict";
import { concat, fromText } from "../../../src/bytes/bytes.ts";
import { faultOf } from "../../../web/engine/fault.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { noise } from "../../server/_site.ts";
import { open, Tab, World } from "./_tab.ts";

const test = testNeeding(permissions);
const MIB = 1024 * 1024;

test("engine: a closure is sent to a server, and its next version by what is new", async () => {
  await using from = await World.open();
  await using to = await World.open({ writingOrigins: ["*"] });
  const lib = await from.publish("lib", { "libx.so": noise(3 * MIB), deep: { er: { file: "x" } } });
  const References = lib.slice("/nix/store/".length);
  const app = await from.publish("app", { bin: { app: `uses ${lib}` }, empty: "" }, { References });
  const changed = concat([noise(3 * MIB).subarray(0, MIB), fromText("new"), noise(3 * MIB).subarray(MIB)]);
  const next = await from.publish("lib-2", { "libx.so": changed, deep: { er: { file: "x" } } });

  const tab = new Tab((request) => {
    const { pathname } = new URL(request.url);
    return (pathname === "/firn.json" || request.method === "PUT" || pathname.startsWith("/blob/") ||
        pathname.startsWith("/path-info/")
      ? target(request)
      : from.site.app.fetch(request)) as Promise<Response>;
  });
  let pushing = false;
  const target = (request: Request) => (pushing ? to : from).site.app.fetch(request);
  for (const path of [app, next]) await open(tab, from, path, { everything: true, closure: true });
  pushing = true;

  const options = { server: "http://other.test" };
  const pushed = await tab.engine.push(app, options);
  assert.deepEqual(pushed.paths, [lib, app], "what is referred to first");
  assert.ok(pushed.sent > 3 * MIB && pushed.sent < 3.1 * MIB, `${pushed.sent}`);
  for (const path of [lib, app]) {
    const info = await to.site.services.pathInfos.get(path.slice(11, 43));
    const there = await from.site.services.pathInfos.get(path.slice(11, 43));
    assert.deepEqual(info?.narSha256, there?.narSha256);
  }
  const again = await tab.engine.push(app, options);
  assert.deepEqual([again.paths, again.there, again.sent], [[], [lib, app], 0]);
  const second = await tab.engine.push(next, options);
  assert.ok(second.sent < 1.1 * MIB, `${second.sent} bytes of the next version`);
  assert.ok(second.shared > 1.5 * MIB);
});

test("engine: a push needs a firn server, all contents, and permission", async () => {
  await using world = await World.open();
  const path = await world.publish("some", { a: noise(300_000) });
  const tokens: (string | null)[] = [];
  let answer: (request: Request) => Response | Promise<Response> = (request) => world.site.app.fetch(request);
  const tab = new Tab((request) => {
    if (request.method !== "GET") tokens.push(request.headers.get("authorization"));
    return answer(request);
  });
  await open(tab, world, path);
  const fault = async (server: string, token?: string) =>
    faultOf(await tab.engine.push(path, { server, token }).then(() => undefined, (error) => error));
  assert.match((await fault(world.address)).message, /not all of it is here/);
  await tab.engine.complete(path);
  answer = () => new Response("nothing\n", { status: 404 });
  assert.equal((await fault("http://plain.test")).name, "UnsupportedError");
  answer = (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/firn.json") return Response.json({ contents: 1 });
    if (request.method === "GET") return new Response(null, { status: 404 });
    return new Response("Cannot write without a token\n", { status: 401 });
  };
  tokens.length = 0;
  const refused = await fault("http://guarded.test", "secret");
  assert.match(refused.message, /does not accept the token.*401 Cannot write without a token/);
  assert.deepEqual([refused.status, refused.address], [401, "http://guarded.test"]);
  assert.deepEqual(tokens, ["Bearer secret"]);
});
