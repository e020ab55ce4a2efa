/** A firn whose store is another firn, with real nix: what goes in at the front is behind it, and what was read stays near. */
import assert from "node:assert/strict";
import { sampler } from "./closures.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer } from "./server.ts";
import { TOKEN_ENV, WRITER } from "./tokens.ts";

nixTest("firn in front of firn: what goes in comes out of both", "old", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  await using back = await FirnServer.start(`${folder}/back`);
  await using front = await FirnServer.start(`grpc+http://${back.grpc}`, "--near", `${folder}/near`);
  await new User(nix, `${folder}/pusher`).push(`${front.url}?compression=xz`, closure.root);
  await pull(new User(nix, `${folder}/a`), front.url, closure, `${folder}/out of the front`);
  await pull(new User(nix, `${folder}/b`), back.url, closure, `${folder}/out of the back`);
});

nixTest("firn in front of a firn that wants a token, with and without", "old", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  await using back = await FirnServer.startWith(TOKEN_ENV, `${folder}/back`, "--private");
  const remote = `grpc+http://${back.grpc}`;
  {
    await using front = await FirnServer.start(remote, "--near", `${folder}/without`);
    const blob = await fetch(`${front.url}/blob`, { method: "PUT", body: "kept nowhere" });
    assert.equal(blob.status, 503);
    await blob.body?.cancel();
    for (let i = 0; i < 100 && !/without a token/.test(front.log); i++) {
      await new Promise((r) => setTimeout(r, 20));
    }
    assert.match(front.log, /without a token/);
  }
  const file = `${folder}/token`;
  await Deno.writeTextFile(file, `${WRITER}\n`);
  await using front = await FirnServer.start(remote, "--near", `${folder}/near`, "--store-token-file", file);
  await new User(nix, `${folder}/pusher`).push(`${front.url}?compression=none`, closure.root);
  await pull(new User(nix, `${folder}/a`), front.url, closure, `${folder}/out of the front`);
  assert.ok(!(front.log + back.log).includes(WRITER));
});

nixTest(
  "firn in front of firn over a Unix socket: what was read once is served while the other is away, and writes wait for it",
  "old",
  async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    const socket = `${folder}/s`;
    const start = () => FirnServer.start(`${folder}/back`, "--grpc-listen", `unix:${socket}`);
    const remote = `grpc+unix:${socket}`;
    {
      await using back = await start();
      assert.equal(back.grpc, `unix:${socket}`);
      await new User(nix, `${folder}/pusher`).push(`${back.url}?compression=none`, closure.root);
      await using front = await FirnServer.start(remote, "--near", `${folder}/near`);
      await pull(new User(nix, `${folder}/a`), front.url, closure, `${folder}/first`);
      assert.equal(await back.stop(), 0, "an idle connection of another server does not keep it");
    }
    await using front = await FirnServer.start(remote, "--near", `${folder}/near`);
    await pull(new User(nix, `${folder}/b`), front.url, closure, `${folder}/second`);

    const absent = `${front.url}/${"0".repeat(32)}.narinfo`;
    const refused = await fetch(absent);
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get("retry-after"), "5");
    assert.equal(await refused.text(), "Cannot reach a store that this server asks; its log says why\n");
    const blob = await fetch(`${front.url}/blob`, { method: "PUT", body: "kept nowhere" });
    assert.equal(blob.status, 503);
    await blob.body?.cancel();
    assert.match(front.log, /Cannot reach grpc\+unix:/);

    await using back = await start();
    const found = await fetch(absent);
    assert.equal(found.status, 404);
    await found.body?.cancel();
    const put = await fetch(`${front.url}/blob`, { method: "PUT", body: "kept there" });
    const { digest } = await put.json();
    const name = digest.slice("blake3-".length).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    assert.equal(await (await fetch(`${back.url}/blob/${name}`)).text(), "kept there");
  },
);
