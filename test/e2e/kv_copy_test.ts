/**
 * A store on a server of Deno KV, which several firns that know nothing of each other have open: what goes in at one comes out at
 * another, in both orders of an upload, also when many clients send the same at the same time.
 */
import assert from "node:assert/strict";
import { CacheFolder, forEach, put } from "./cache_folder.ts";
import { manyPaths, sampler } from "./closures.ts";
import { denokv, DenokvServer } from "./_denokv.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer } from "./server.ts";

for (const name of ["old", "new"] as const) {
  for (const compression of ["xz", "none"]) {
    nixTest(
      `deno kv server: nix copy in ${compression} to one firn, from another, and not twice`,
      name,
      async (nix, folder) => {
        const closure = await sampler(`${folder}/builder`);
        await using kv = await DenokvServer.start(`${folder}/kv`);
        await using one = await FirnServer.start(kv.store);
        await using other = await FirnServer.start(kv.store);
        await new User(nix, `${folder}/pusher`).push(`${one.url}?compression=${compression}`, closure.root);
        await pull(new User(nix, `${folder}/a`), other.url, closure, `${folder}/out of the other`);
        await new User(nix, `${folder}/again`).push(`${other.url}?compression=${compression}`, closure.root);
        assert.doesNotMatch(other.log, /received|published/, "everything was there already");
        assert.equal(await one.stop(), 0);
        await using third = await FirnServer.start(kv.store);
        await pull(new User(nix, `${folder}/b`), third.url, closure, `${folder}/out of a third`);
      },
      denokv,
    );
  }
}

nixTest(
  "deno kv server: all NARs first, then a killed firn, then their narinfos at another",
  "new",
  async (nix, folder) => {
    const closure = await manyPaths(`${folder}/builder`, 100, 3000);
    const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "zstd");
    await using kv = await DenokvServer.start(`${folder}/kv`);
    await using first = await FirnServer.start(kv.store);
    await forEach(cache.paths, 8, async (path) => {
      const { status, text } = await put(`${first.url}/${path.url}`, await cache.nar(path));
      assert.ok(status < 300, `PUT ${path.url}: ${status} ${text}`);
    });
    await first.kill();
    await using second = await FirnServer.start(kv.store);
    for (const path of cache.paths) {
      const before = await fetch(`${second.url}/${path.narInfoName}`, { method: "HEAD" });
      assert.equal(before.status, 404, `${path.narInfoName} before it was sent`);
      const { status, text } = await put(`${second.url}/${path.narInfoName}`, path.narInfo);
      assert.ok(status < 300, `PUT ${path.narInfoName}: ${status} ${text}`);
    }
    await pull(new User(nix, `${folder}/puller`), second.url, closure, `${folder}/pulled`);
  },
  denokv,
);

for (const processes of [2, 4]) {
  nixTest(
    `deno kv server: ${processes} firns on it, twice as many clients with closures that overlap`,
    "new",
    async (nix, folder) => {
      const closures = [
        await manyPaths(`${folder}/builder`, 60, 3000),
        await manyPaths(`${folder}/builder`, 30, 3000), // the same paths, but its root
        await sampler(`${folder}/builder`),
      ];
      await using kv = await DenokvServer.start(`${folder}/kv`);
      await using servers = new AsyncDisposableStack();
      const firns = await Promise.all(Array.from({ length: processes }, () => FirnServer.start(kv.store)));
      for (const firn of firns) servers.use(firn);
      await Promise.all(Array.from({ length: 2 * processes }, async (_, i) => {
        const closure = closures[i % closures.length];
        const compression = ["none", "zstd", "xz"][i % 2];
        const { url } = firns[i % processes];
        const user = new User(nix, `${folder}/client ${i}`);
        await user.push(`${url}?compression=${compression}`, closure.root);
        // What was acknowledged here is whole everywhere, while others still send.
        const elsewhere = firns[(i + 1) % processes].url;
        await pull(new User(nix, `${folder}/puller ${i}`), elsewhere, closure, `${folder}/pulled ${i}`);
      }));
      for (const [i, closure] of closures.entries()) {
        await pull(
          new User(nix, `${folder}/last ${i}`),
          firns[i % processes].url,
          closure,
          `${folder}/end ${i}`,
        );
      }
    },
    denokv,
  );
}
