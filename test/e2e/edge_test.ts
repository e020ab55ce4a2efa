/**
 * The endpoint as a platform runs it: `deno serve mod.ts` with no permission but the network, the environment and its own source,
 * against a real server of Deno KV. It is killed between requests and in the middle of them.
 */
import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { PathInfoService } from "../../src/gen/tvix/store/v1/rpc_pathinfo_pb.ts";
import { fromNixBase32 } from "../../src/bytes/nixbase32.ts";
import { chromiumInstalled, launchChromium } from "../browser/_chromium.ts";
import { transportTo } from "../server/_grpc_clients.ts";
import { testNeeding } from "../needs.ts";
import { denokv, DenokvServer } from "./_denokv.ts";
import { CacheFolder, forEach, hashPart, put } from "./cache_folder.ts";
import { manyPaths, sampler } from "./closures.ts";
import { makeKey } from "./keys.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer, pause } from "./server.ts";
import { Tap } from "./tap.ts";
import { TOKEN_ENV, WRITER, writer } from "./tokens.ts";
import { assertWhole, narDigests } from "./whole.ts";

nixTest(
  "an endpoint on a remote KV: in by nix, out by all protocols",
  "new",
  async (nix, folder, t) => {
    const closure = await sampler(`${folder}/builder`);
    await using kv = await DenokvServer.start(`${folder}/kv`);
    const keeper = new User(nix, `${folder}/keeper`);
    const key = await makeKey(keeper, "edge-1", `${folder}/key`);
    const other = await makeKey(keeper, "edge-2", `${folder}/other`);
    const keys = await Promise.all([key, other].map(({ file }) => Deno.readTextFile(file)));
    await using edge = await FirnServer.startEdge(kv.store, {
      ...TOKEN_ENV,
      FIRN_SIGNING_KEYS: keys.join("\n"),
    });
    const small = closure.paths.find((path) => path.endsWith("-sampler-odd"))!;

    await t.step("in, as nix compresses by default, and out, signed", async () => {
      const stranger = await new User(nix, `${folder}/stranger`)
        .attempt("nix", "copy", "--to", edge.url, closure.root);
      assert.match(stranger.stderr, /HTTP error 401/);
      await (await writer(nix, `${folder}/pusher`)).push(edge.url, closure.root);
      for (const { publicKey } of [key, other]) {
        const trust = ["--option", "trusted-public-keys", publicKey];
        const name = publicKey.split(":")[0];
        await pull(new User(nix, `${folder}/${name}`), edge.url, closure, `${folder}/${name}-out`, trust);
      }
    });

    for (const protocol of ["grpc-web", "connect"] as const) {
      await t.step(`a call by ${protocol}`, async () => {
        const client = createClient(PathInfoService, transportTo(edge.url, protocol));
        const digest = fromNixBase32(hashPart(small));
        const info = await client.get({ byWhat: { case: "byOutputHash", value: digest } });
        assert.equal(info.node?.node.case, "directory");
        const nar = await client.calculateNAR(info.node!, { headers: { authorization: `Bearer ${WRITER}` } });
        const hash = Uint8Array.from(nar.narSha256);
        const named = closure.narHashes.get(small)!.replace("sha256:", "");
        assert.deepEqual(hash, Uint8Array.from(fromNixBase32(named)));
      });
    }

    await t.step("a call over a WebSocket", async () => {
      assert.match(await healthOverWebSocket(edge.url), /grpc-status: 0\r\n/);
    });

    await t.step("figures of what it asked its KV", async () => {
      const answer = await fetch(`${edge.url}/metrics`, { headers: { authorization: `Bearer ${WRITER}` } });
      const figures = await answer.text();
      assert.match(
        figures,
        /store_operation_duration_seconds_count\{part="kv",operation="commit",outcome="ok"\} [1-9]/,
      );
    });

    await t.step("it wanted no more permission than it has", () => {
      assert.doesNotMatch(edge.log, /NotCapable|PermissionDenied|prompt/i);
    });

    await t.step("a browser opens a path of it", async () => {
      const browser = await launchChromium();
      try {
        const page = await browser.newPage();
        await page.goto(edge.url);
        await page.getByLabel("Store path or hash").fill(small);
        await page.getByRole("button", { name: "Open", exact: true }).click();
        await page.getByRole("treeitem").filter({ hasText: "with space" }).waitFor({ timeout: 60_000 });
      } finally {
        await browser.close();
      }
    });
  },
  denokv,
  chromiumInstalled,
);

/** All that an endpoint answers to a call of gRPC over WebSocket: headers, a message, trailers. */
async function healthOverWebSocket(url: string): Promise<string> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/grpc.health.v1.Health/Check`, "grpc-websockets");
  socket.binaryType = "arraybuffer";
  let text = "";
  const closed = Promise.withResolvers<void>();
  socket.onmessage = ({ data }) => text += new TextDecoder("latin1").decode(data);
  socket.onclose = () => closed.resolve();
  socket.onopen = () => {
    socket.send(new TextEncoder().encode("content-type: application/grpc-web+proto\r\n"));
    socket.send(new Uint8Array(6)); // a frame of an empty message
    socket.send(new Uint8Array([1])); // that was all
  };
  await closed.promise;
  return text;
}

/** A whole number from 1 to `most`. */
function random(most: number): number {
  return 1 + Math.floor(Math.random() * most);
}

nixTest("an endpoint killed in the middle of nix copy, and started again", "old", async (nix, folder, t) => {
  const closure = await manyPaths(`${folder}/builder`, 60, 20_000);
  const digests = await narDigests(new User(nix, `${folder}/builder`), closure);
  await using kv = await DenokvServer.start(`${folder}/kv`);
  await using edges = new AsyncDisposableStack();
  let edge = edges.use(await FirnServer.startEdge(kv.store, TOKEN_ENV));
  await using tap = new Tap(edge.url);
  const copy = async (home: string) =>
    await (await writer(nix, `${folder}/${home}`)).attempt(
      ...["nix", "copy", "--to", `${tap.url}?compression=zstd`, closure.root] as const,
      ...["--option", "download-attempts", "1"],
    );
  for (let death = 1; death <= 3; death++) {
    const uploads = random(25);
    const delay = random(40);
    await t.step(`death ${death}: ${delay} ms after upload ${uploads} begins`, async () => {
      const last = tap.sent("PUT").length + uploads;
      let killed: Promise<void> | undefined;
      tap.onRequest = () => {
        if (tap.sent("PUT").length >= last) killed ??= pause(delay).then(() => edge.kill());
      };
      await copy(`pusher ${death}`);
      assert.ok(killed, "nix has more to upload");
      await killed;
      tap.onRequest = () => {};
      edge = edges.use(await FirnServer.startEdge(kv.store, TOKEN_ENV));
      tap.target = edge.url;
      await assertWhole(edge, closure, digests);
    });
  }
  const repeated = await copy("last pusher");
  assert.equal(repeated.code, 0, repeated.stderr);
  assert.equal(await assertWhole(edge, closure, digests), closure.paths.length);
}, denokv);

nixTest("an endpoint killed between requests: what it acknowledged is there", "old", async (nix, folder) => {
  const closure = await manyPaths(`${folder}/builder`, 60, 20_000);
  const digests = await narDigests(new User(nix, `${folder}/builder`), closure);
  const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "zstd");
  await using kv = await DenokvServer.start(`${folder}/kv`);
  const acknowledged: string[] = [];
  const nars = await Promise.all(
    cache.paths.map(async (path) => [path.url, await cache.nar(path)] as const),
  );
  const uploads = [
    ...nars,
    ...cache.paths.map(({ narInfoName, narInfo }) => [narInfoName, narInfo] as const),
  ];
  // Stopped at once when nothing is asked for a moment, as such platforms do.
  for (let at = 0; at < uploads.length; at += 25) {
    await using edge = await FirnServer.startEdge(kv.store, TOKEN_ENV);
    await forEach(acknowledged, 8, async (name) => {
      const { status } = await fetch(`${edge.url}/${name}`, { method: "HEAD" });
      assert.equal(status, 200, `HEAD ${name}, which was acknowledged`);
    });
    // Narinfos one after the other: each wants those it refers to.
    await forEach(uploads.slice(at, at + 25), at < nars.length - 25 ? 8 : 1, async ([name, body]) => {
      const { status, text } = await put(`${edge.url}/${name}`, body, WRITER);
      assert.ok(status < 300, `PUT ${name}: ${status} ${text}`);
      acknowledged.push(name);
    });
    await edge.kill();
  }
  await using edge = await FirnServer.startEdge(kv.store, TOKEN_ENV);
  assert.equal(await assertWhole(edge, closure, digests), closure.paths.length);
}, denokv);

testNeeding(denokv)({
  name: "an endpoint that cannot be opened says so, and is opened once it can be",
  sanitizeResources: false, // the runtime keeps signal handlers of children for a moment longer
  async fn() {
    const folder = await Deno.makeTempDir();
    const ask = async ({ url }: FirnServer) => {
      const answer = await fetch(`${url}/${"0".repeat(32)}.narinfo`);
      return [answer.status, await answer.text()];
    };
    try {
      await using nowhere = await FirnServer.startEdge("/srv/firn");
      const told = "This endpoint is not configured: its log says what is missing\n";
      assert.deepEqual(await ask(nowhere), [500, told]);
      assert.match(nowhere.log, /Cannot open the store \/srv\/firn at an endpoint: want FIRN_STORE=kv:/);

      await using kv = await DenokvServer.start(`${folder}/kv`);
      await kv.kill();
      await using idle = await FirnServer.startEdge(kv.store);
      assert.equal(await idle.stop(), 0);
      assert.match(idle.log, /^firn serves on \S+\n$/, "that is all it said");

      await using edge = await FirnServer.startEdge(kv.store);
      assert.deepEqual(await ask(edge), [503, "This endpoint cannot open its store now: ask again later\n"]);
      await kv.restart();
      for (let status: unknown = 503; status !== 404;) {
        assert.equal(status, 503);
        await pause(100);
        [status] = await ask(edge);
      }
      assert.equal((await put(`${edge.url}/nix-cache-info`, "StoreDir: /nix/store\n")).status, 403);
      for (let i = 0; i < 500 && !/nobody may write/.test(edge.log); i++) await pause(20);
      assert.match(edge.log, /Cannot reach the store kv\+http.*\n.*nobody may write: set FIRN_TOKEN_KEY/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
