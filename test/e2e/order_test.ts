/**
 * The order of an upload. nix to 2.34 sends each NAR and then its narinfo; nix 2.35 sends all NARs first and the
 * narinfos afterwards, minutes later, in the order of their references. The second is replayed over plain HTTP from
 * what an older nix wrote.
 */
import assert from "node:assert/strict";
import { CacheFolder, forEach, put } from "./cache_folder.ts";
import { manyPaths, sampler } from "./closures.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer } from "./server.ts";

nixTest("1,500 NARs, then a killed server, then their narinfos", "new", async (nix, folder) => {
  const closure = await manyPaths(`${folder}/builder`, 1500, 300);
  const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "zstd");
  const first = await FirnServer.start(`${folder}/store`);
  await forEach(cache.paths, 8, async (path) => {
    const { status, text } = await put(`${first.url}/${path.url}`, await cache.nar(path));
    assert.ok(status === 200 || status === 201 || status === 204, `PUT ${path.url}: ${status} ${text}`);
  });
  await first.kill();

  await using second = await FirnServer.start(`${folder}/store`);
  await forEach(cache.paths, 8, async (path) => {
    const nar = await fetch(`${second.url}/${path.url}`, { method: "HEAD" });
    assert.equal(nar.status, 200, `HEAD ${path.url} after the restart`);
    const narInfo = await fetch(`${second.url}/${path.narInfoName}`);
    await narInfo.body?.cancel();
    assert.equal(narInfo.status, 404, `${path.narInfoName} before it was sent`);
  });
  for (const path of cache.paths) {
    const { status, text } = await put(`${second.url}/${path.narInfoName}`, path.narInfo);
    assert.ok(
      status === 200 || status === 201 || status === 204,
      `PUT ${path.narInfoName}: ${status} ${text}`,
    );
  }
  await pull(new User(nix, `${folder}/puller`), second.url, closure, `${folder}/pulled`);
});

nixTest("a narinfo is refused before its NAR and before its references", "new", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "none");
  await using server = await FirnServer.start(`${folder}/store`);
  const refused = async (path: typeof cache.paths[0], missing: string) => {
    const { status, text } = await put(`${server.url}/${path.narInfoName}`, path.narInfo);
    assert.ok(status >= 400 && status < 500, `${status} ${text}`);
    assert.ok(text.includes(missing), `the answer names what is missing, ${missing}: ${text}`);
    assert.equal(text.trim().split("\n").length, 1, text);
    const { status: visible } = await fetch(`${server.url}/${path.narInfoName}`, { method: "HEAD" });
    assert.equal(visible, 404);
  };

  const root = cache.paths.at(-1)!;
  const [, fileHash] = /nar\/(.*)\.nar/.exec(root.url)!;
  await refused(root, fileHash);
  assert.ok((await put(`${server.url}/${root.url}`, await cache.nar(root))).status < 300);
  await refused(root, root.references[0].slice("/nix/store/".length));
  for (const path of cache.paths) {
    assert.ok((await put(`${server.url}/${path.url}`, await cache.nar(path))).status < 300);
    assert.ok((await put(`${server.url}/${path.narInfoName}`, path.narInfo)).status < 300);
  }
  await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
});
