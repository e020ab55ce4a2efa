/**
 * The server of Deno KV goes away: before firn starts, while it serves, and again and again in the middle of uploads. What was
 * acknowledged is there, clients hear that they may ask again, and firn goes on by itself when the server is back.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { permissions, testNeeding } from "../needs.ts";
import { CacheFolder, field, forEach, put } from "./cache_folder.ts";
import { manyPaths } from "./closures.ts";
import { denokv, DenokvServer } from "./_denokv.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer, pause, spawnServe } from "./server.ts";

/** Every narinfo that is served leads to a NAR that is whole, at a server that keeps nothing in memory. */
async function assertWhole(url: string, cache: CacheFolder): Promise<Set<string>> {
  const served = new Set<string>();
  await forEach(cache.paths, 4, async (path) => {
    const answer = await fetch(`${url}/${path.narInfoName}`);
    const narInfo = await answer.text();
    if (answer.status === 404) return;
    assert.equal(answer.status, 200, narInfo);
    const nar = await fetch(`${url}/${field(narInfo, "URL")}`);
    const body = new Uint8Array(await nar.arrayBuffer());
    assert.equal(nar.status, 200, `the NAR of ${path.storePath}`);
    const want = createHash("sha256").update(zstdDecompressSync(await cache.nar(path))).digest("hex");
    assert.equal(createHash("sha256").update(body).digest("hex"), want, `the NAR of ${path.storePath}`);
    served.add(path.narInfoName);
  });
  return served;
}

nixTest(
  "deno kv server killed again and again in the middle of an upload: nothing acknowledged is lost, nothing shown is not whole",
  "new",
  async (nix, folder) => {
    const closure = await manyPaths(`${folder}/builder`, 100, 20_000);
    const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "zstd");
    await using kv = await DenokvServer.start(`${folder}/kv`);
    await using firn = await FirnServer.start(kv.store);
    const acknowledged = new Set<string>();
    let over = false;
    const killing = (async () => {
      let deaths = 0;
      while (!over) {
        await pause(100 + Math.random() * 400);
        await kv.kill();
        deaths++;
        await pause(Math.random() * 300);
        await kv.restart();
      }
      return deaths;
    })();
    /** Sends until it is taken: only what says that it may be sent again is. */
    const send = async (name: string, body: string | Uint8Array<ArrayBuffer>) => {
      for (;;) {
        const { status, text } = await put(`${firn.url}/${name}`, body);
        if (status < 300) break;
        assert.equal(status, 503, `PUT ${name}: ${status} ${text}`);
        await pause(50);
      }
      acknowledged.add(name);
    };
    try {
      await forEach(cache.paths, 8, async (path) => await send(path.url, await cache.nar(path)));
      for (const path of cache.paths) await send(path.narInfoName, path.narInfo);
    } finally {
      over = true;
    }
    const deaths = await killing;
    assert.ok(deaths >= 3, `the server died ${deaths} times`);
    await using anew = await FirnServer.start(kv.store);
    for (const name of acknowledged) {
      const { status } = await fetch(`${anew.url}/${name}`, { method: "HEAD" });
      assert.equal(status, 200, `HEAD ${name}, which was acknowledged`);
    }
    assert.equal((await assertWhole(anew.url, cache)).size, cache.paths.length);
  },
  denokv,
);

nixTest(
  "deno kv server and firn both killed in the middle of nix copy, which ends well when repeated",
  "old",
  async (nix, folder, context) => {
    const closure = await manyPaths(`${folder}/builder`, 60, 20_000);
    const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "zstd");
    await using kv = await DenokvServer.start(`${folder}/kv`);
    for (let death = 1; death <= 3; death++) {
      await context.step(`death ${death}`, async () => {
        await using firn = await FirnServer.start(kv.store);
        const copying = new User(nix, `${folder}/pusher ${death}`).attempt(
          ...["nix", "copy", "--to", `${firn.url}?compression=zstd`, closure.root] as const,
          ...["--option", "download-attempts", "1"],
        );
        await pause(200 + Math.random() * 1500);
        await Promise.all([kv.kill(), firn.kill()]);
        await copying;
        await kv.restart();
        await using anew = await FirnServer.start(kv.store);
        await assertWhole(anew.url, cache);
      });
    }
    await using firn = await FirnServer.start(kv.store);
    const copying = new User(nix, `${folder}/last pusher`).push(
      `${firn.url}?compression=zstd`,
      closure.root,
    );
    await pause(300);
    await kv.kill(); // and back within nix's patience
    await pause(1000);
    await kv.restart();
    await copying;
    assert.equal((await assertWhole(firn.url, cache)).size, cache.paths.length);
    await pull(new User(nix, `${folder}/puller`), firn.url, closure, `${folder}/pulled`);
  },
  denokv,
);

const test = testNeeding(permissions, denokv);

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "firn-kv-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What `serve` that does not come up says, and how it ends. */
async function refusal(store: string, ...options: string[]): Promise<{ code: number; text: string }> {
  const { code, stderr } = await spawnServe(store, options).output();
  return { code, text: new TextDecoder().decode(stderr).trim() };
}

test("deno kv server: away when firn starts, it is waited for", () =>
  inFolder(async (folder) => {
    await using kv = await DenokvServer.start(`${folder}/kv`);
    await kv.kill();
    const starting = FirnServer.start(kv.store);
    await pause(1500);
    await kv.restart();
    await using firn = await starting;
    assert.match(firn.log, /Cannot reach the store kv\+http:\/\/127\.0\.0\.1:\d+: .*; waiting for it/);
    assert.equal((await fetch(`${firn.url}/nix-cache-info`)).status, 200);
  }));

test("deno kv server: away while firn serves, clients are told to come again, and it recovers by itself", () =>
  inFolder(async (folder) => {
    await using kv = await DenokvServer.start(`${folder}/kv`);
    await using firn = await FirnServer.start(kv.store, "--kv-timeout", "1");
    const { digest } = await (await fetch(`${firn.url}/blob`, { method: "PUT", body: "kept" })).json();
    const blob = `${firn.url}/blob/${digest.slice(7).replaceAll("+", "-").replaceAll("/", "_").slice(0, 43)}`;
    await kv.kill();
    const absent = `${firn.url}/${"0".repeat(32)}.narinfo`;
    for (let i = 0; i < 20; i++) { // more than may wait for the server
      const answer = await fetch(absent);
      assert.equal(answer.status, 503);
      assert.equal(answer.headers.get("retry-after"), "5");
      assert.match(await answer.text(), /^Cannot reach a store that this server asks; its log says why\n$/);
    }
    const upload = await fetch(`${firn.url}/blob`, { method: "PUT", body: "not now" });
    assert.equal(upload.status, 503, await upload.text());
    assert.match(firn.log, / 503 .*Cannot reach the store kv\+http:\/\/\S+: it does not answer/);
    await kv.restart();
    let answer = await fetch(absent);
    for (let i = 0; answer.status === 503 && i < 100; i++) {
      await pause(100);
      answer = await fetch(absent);
    }
    assert.equal(answer.status, 404, await answer.text());
    assert.equal(await (await fetch(blob)).text(), "kept");
    assert.equal((await fetch(`${firn.url}/blob`, { method: "PUT", body: "now" })).status, 200);
    assert.equal(await firn.stop(), 0);
  }));

test("deno kv server: what cannot be opened is told in a line", () =>
  inFolder(async (folder) => {
    await using kv = await DenokvServer.start(`${folder}/kv`);
    await (await FirnServer.start(kv.store)).stop();
    const elsewhere = await refusal(kv.store, "--packs", `${folder}/packs`);
    assert.equal(elsewhere.code, 2);
    assert.equal(
      elsewhere.text,
      "firn: Cannot open the store: its packs are in Deno KV; leave --packs out",
    );
    const gc = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("../../mod.ts", import.meta.url).pathname, "gc", "--store", kv.store],
    }).output();
    assert.equal(gc.code, 2);
    assert.match(new TextDecoder().decode(gc.stderr), /servers may have it open/);
  }));
