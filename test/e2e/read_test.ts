/** What a user of nix asks a cache: about paths, for their listings and files, and for a substitute. */
import assert from "node:assert/strict";
import { field, hashPart } from "./cache_folder.ts";
import { type Closure, sampler } from "./closures.ts";
import { makeKey } from "./keys.ts";
import { type Nix, nixTest, User } from "./nix.ts";
import { verify } from "./pull.ts";
import { FirnServer } from "./server.ts";

/** A server that holds the sampler. */
async function serving(
  nix: Nix,
  closure: Closure,
  folder: string,
  ...options: string[]
): Promise<FirnServer> {
  const server = await FirnServer.start(`${folder}/store`, ...options);
  await new User(nix, `${folder}/pusher`).push(`${server.url}?compression=none`, closure.root);
  return server;
}

/** The path of a closure whose name ends so. */
function pathOf(closure: Closure, name: string): string {
  return closure.paths.find((path) => path.endsWith(name))!;
}

/** What `nix path-info --json` says of one path: a list in old versions, an object by path in newer ones. */
interface Told {
  path?: string;
  narHash: string;
  narSize: number;
  references: string[];
  signatures?: string[];
}

async function pathInfo(user: User, ...options: string[]): Promise<Map<string, Told>> {
  const text = await user.nixCommand("path-info", "--json", ...options);
  const told: Told[] | Record<string, Told> = JSON.parse(text);
  return new Map(Array.isArray(told) ? told.map((info) => [info.path!, info]) : Object.entries(told));
}

for (const name of ["old", "new"] as const) {
  nixTest("nix store ping, path-info, ls and cat", name, async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    await using server = await serving(nix, closure, folder);
    const user = new User(nix, `${folder}/reader`);

    const ping = await user.attempt("nix", "store", "ping", "--store", server.url);
    assert.equal(ping.code, 0, ping.stderr);

    const here = await pathInfo(user, "--recursive", closure.root);
    const there = await pathInfo(user, "--recursive", "--store", server.url, closure.root);
    assert.deepEqual([...there.keys()].toSorted(), closure.paths.toSorted());
    for (const [path, told] of there) {
      const known = here.get(path)!;
      assert.equal(told.narHash, known.narHash);
      assert.equal(told.narSize, known.narSize);
      assert.deepEqual(told.references.toSorted(), known.references.toSorted());
    }
    assert.match(await user.nixCommand("path-info", "--store", server.url, "-S", closure.root), /\s\d+\s*$/);
    const absent = `/nix/store/${"0".repeat(32)}-absent`;
    assert.notEqual((await user.attempt("nix", "path-info", "--store", server.url, absent)).code, 0);

    for (const part of ["sampler-tree", "sampler-large", "sampler-link", "sampler-file"]) {
      const path = pathOf(closure, part);
      const listed = await user.nixCommand("store", "ls", "-lR", "--store", server.url, path);
      assert.equal(listed, await user.nixCommand("store", "ls", "-lR", path), part);
    }
    const tree = pathOf(closure, "sampler-tree");
    const large = pathOf(closure, "sampler-large");
    for (const file of [`${tree}/share/deep/er/reference`, `${tree}/bin/run`, `${large}/text`]) {
      const text = await user.nixCommand("store", "cat", "--store", server.url, file);
      assert.ok(text === await Deno.readTextFile(file), file);
    }
    const nothing = await user.attempt("nix", "store", "cat", "--store", server.url, `${tree}/share/missing`);
    assert.notEqual(nothing.code, 0);
  });

  nixTest("nix-store -r substitutes what the server's key signed", name, async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    const owner = new User(nix, `${folder}/owner`);
    const key = await makeKey(owner, "firn-test-1", `${folder}/secret`);
    const stranger = await makeKey(owner, "firn-test-1", `${folder}/other secret`);
    await using server = await serving(nix, closure, folder, "--secret-key", key.file);

    const substitute = (user: User, store: string, publicKey: string) => {
      const options = ["--option", "substituters", server.url, "--option", "trusted-public-keys", publicKey];
      return user.attempt("nix-store", "--store", `${folder}/${store}`, "-r", closure.root, ...options);
    };
    const refused = await substitute(new User(nix, `${folder}/wary`), "wary store", stranger.publicKey);
    assert.notEqual(refused.code, 0, "a key the user does not trust");

    const user = new User(nix, `${folder}/trusting`);
    const taken = await substitute(user, "trusting store", key.publicKey);
    assert.equal(taken.code, 0, taken.stderr);
    await verify(user, closure, `${folder}/trusting store`);

    for (const path of closure.paths) {
      const narInfo = await (await fetch(`${server.url}/${hashPart(path)}.narinfo`)).text();
      assert.match(field(narInfo, "Sig"), /^firn-test-1:/);
    }
  });
}
