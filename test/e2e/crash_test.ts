/**
 * The server killed in the middle of uploads, at random points, and started again over the same store. The upload
 * repeated succeeds; what was acknowledged is still there; and no narinfo is served whose NAR is missing or wrong.
 */
import assert from "node:assert/strict";
import { type CachedPath, CacheFolder, forEach, put } from "./cache_folder.ts";
import { manyPaths } from "./closures.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer, pause } from "./server.ts";
import { Tap } from "./tap.ts";
import { assertWhole, narDigests } from "./whole.ts";

/** A whole number from 1 to `most`. */
function random(most: number): number {
  return 1 + Math.floor(Math.random() * most);
}

/** How often the server dies before nix is left to finish. */
const DEATHS = 5;

for (const name of ["old", "new"] as const) {
  nixTest(
    "nix copy to a server killed at random points, then repeated",
    name,
    async (nix, folder, context) => {
      const closure = await manyPaths(`${folder}/builder`, 200, 20_000);
      const digests = await narDigests(new User(nix, `${folder}/builder`), closure);
      await using servers = new AsyncDisposableStack();
      let server = servers.use(await FirnServer.start(`${folder}/store`));
      await using tap = new Tap(server.url);
      const copy = (home: string) =>
        new User(nix, `${folder}/${home}`).attempt(
          ...["nix", "copy", "--to", `${tap.url}?compression=zstd`, closure.root] as const,
          ...["--option", "download-attempts", "1"],
        );

      for (let death = 1; death <= DEATHS; death++) {
        const uploads = random(60);
        const delay = random(20);
        await context.step(`death ${death}: ${delay} ms after upload ${uploads} begins`, async () => {
          const last = tap.sent("PUT").length + uploads;
          let killed: Promise<void> | undefined;
          tap.onRequest = () => {
            if (tap.sent("PUT").length >= last) killed ??= pause(delay).then(() => server.kill());
          };
          await copy(`pusher ${death}`);
          assert.ok(killed, "nix has more to upload");
          await killed;
          tap.onRequest = () => {};
          server = servers.use(await FirnServer.start(`${folder}/store`));
          tap.target = server.url;
          await assertWhole(server, closure, digests);
        });
      }

      const repeated = await copy("last pusher");
      assert.equal(repeated.code, 0, repeated.stderr);
      assert.equal(await assertWhole(server, closure, digests), closure.paths.length);
      await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
    },
  );
}

nixTest("what was acknowledged before a crash is there after it", "new", async (nix, folder, context) => {
  const closure = await manyPaths(`${folder}/builder`, 200, 20_000);
  const digests = await narDigests(new User(nix, `${folder}/builder`), closure);
  const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "zstd");
  await using servers = new AsyncDisposableStack();
  let server = servers.use(await FirnServer.start(`${folder}/store`));
  const acknowledged = new Set<string>();

  /** Upload what is not acknowledged yet, all NARs first, until the server dies after so many more. */
  const upload = async (more: number, delay: number) => {
    const last = acknowledged.size + more;
    let killed: Promise<void> | undefined;
    const send = async (name: string, body: string | Uint8Array<ArrayBuffer>) => {
      const { status, text } = await put(`${server.url}/${name}`, body);
      assert.ok(status < 300, `PUT ${name}: ${status} ${text}`);
      acknowledged.add(name);
      if (acknowledged.size >= last) killed ??= pause(delay).then(() => server.kill());
    };
    const rest = (name: (path: CachedPath) => string) =>
      cache.paths.filter((path) => !acknowledged.has(name(path)));
    try {
      await forEach(rest((path) => path.url), 8, async (path) => await send(path.url, await cache.nar(path)));
      await forEach(rest((path) => path.narInfoName), 1, (path) => send(path.narInfoName, path.narInfo));
    } catch (error) {
      // To a client the death of a server is a connection that breaks.
      if (!(killed && error instanceof TypeError)) throw error;
    }
    await killed;
  };

  while (acknowledged.size < 2 * cache.paths.length) {
    const more = random(120);
    const delay = random(10);
    await context.step(`death ${delay} ms after ${acknowledged.size + more} acknowledgements`, async () => {
      await upload(more, delay);
      await server.kill();
      server = servers.use(await FirnServer.start(`${folder}/store`));
      await forEach(acknowledged, 4, async (name) => {
        const { status } = await fetch(`${server.url}/${name}`, { method: "HEAD" });
        assert.equal(status, 200, `HEAD ${name}, which was acknowledged`);
      });
      await assertWhole(server, closure, digests);
    });
  }
  assert.equal(await assertWhole(server, closure, digests), closure.paths.length);
});
