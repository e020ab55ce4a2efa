/** Signatures that come later: nix sends a narinfo again with more of them. They merge, and nothing else may change. */
import assert from "node:assert/strict";
import { CacheFolder, field, hashPart, put } from "./cache_folder.ts";
import { sampler } from "./closures.ts";
import { makeKey } from "./keys.ts";
import { nixTest, User } from "./nix.ts";
import { FirnServer } from "./server.ts";

/** The names of the keys that signed a narinfo. */
function signers(narInfo: string): string[] {
  return [...narInfo.matchAll(/^Sig: ([^:]+):/gm)].map(([, name]) => name).toSorted();
}

for (const name of ["old", "new"] as const) {
  nixTest("nix store sign and copy-sigs add their signatures to the server's", name, async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    const owner = new User(nix, `${folder}/owner`);
    const own = await makeKey(owner, "firn-test-1", `${folder}/own`);
    const second = await makeKey(owner, "second-1", `${folder}/second`);
    const third = await makeKey(owner, "third-1", `${folder}/third`);
    await using server = await FirnServer.start(`${folder}/store`, "--secret-key", own.file);
    await owner.push(`${server.url}?compression=zstd`, closure.root);
    const narInfo = async (path: string) => (await fetch(`${server.url}/${hashPart(path)}.narinfo`)).text();
    const served = () => Promise.all(closure.paths.map(narInfo));
    for (const narInfo of await served()) assert.deepEqual(signers(narInfo), ["firn-test-1"]);
    const withoutSignatures = (narInfos: string[]) =>
      narInfos.map((text) => text.replaceAll(/^Sig: .*\n/gm, ""));
    const before = withoutSignatures(await served());

    const signer = new User(nix, `${folder}/signer`);
    await signer.nixCommand("store", "sign", "-r", "--store", server.url, "-k", second.file, closure.root);
    for (const narInfo of await served()) assert.deepEqual(signers(narInfo), ["firn-test-1", "second-1"]);

    const signed = `file://${folder}/signed`;
    await owner.push(`${signed}?secret-key=${third.file}`, closure.root);
    const copier = new User(nix, `${folder}/copier`);
    await copier.nixCommand("store", "copy-sigs", "-r", "--store", server.url, "-s", signed, closure.root);
    for (const narInfo of await served()) {
      assert.deepEqual(signers(narInfo), ["firn-test-1", "second-1", "third-1"]);
    }
    assert.deepEqual(withoutSignatures(await served()), before);

    const keys = [own, second, third].map((key) => key.publicKey).join(" ");
    const check = (needed: number) => {
      const user = new User(nix, `${folder}/verifier of ${needed}`);
      const options = ["--sigs-needed", `${needed}`, "--option", "trusted-public-keys", keys];
      return user.attempt("nix", "store", "verify", "-r", "--store", server.url, ...options, closure.root);
    };
    const verified = await check(3);
    assert.equal(verified.code, 0, verified.stderr);
    assert.notEqual((await check(4)).code, 0, "there is no fourth signature");
  });
}

nixTest("a narinfo sent again may change nothing but signatures", "new", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "zstd");
  await using server = await FirnServer.start(`${folder}/store`);
  for (const path of cache.paths) {
    assert.ok((await put(`${server.url}/${path.url}`, await cache.nar(path))).status < 300);
    assert.ok((await put(`${server.url}/${path.narInfoName}`, path.narInfo)).status < 300);
  }
  const root = cache.paths.at(-1)!;
  const other = cache.paths.find((path) => path.storePath.endsWith("sampler-large"))!;
  const at = `${server.url}/${root.narInfoName}`;
  const served = await (await fetch(at)).text();

  // As it was uploaded, and as it is served: the two may name different files.
  assert.ok((await put(at, root.narInfo)).status < 300);
  assert.ok((await put(at, served)).status < 300);

  const changed = (name: string, value: string) => {
    const line = new RegExp(`^${name}: .*$`, "m");
    return line.test(root.narInfo)
      ? root.narInfo.replace(line, `${name}: ${value}`)
      : `${root.narInfo}${name}: ${value}\n`;
  };
  const references = field(root.narInfo, "References").split(" ");
  const doctored = {
    "a reference less": changed("References", references.slice(1).join(" ")),
    "a reference more": changed(
      "References",
      [...references, root.storePath.slice("/nix/store/".length)].join(" "),
    ),
    "another deriver": changed("Deriver", `${"1".repeat(32)}-other.drv`),
    "another NarHash": changed("NarHash", field(other.narInfo, "NarHash")),
    "another NarSize": changed("NarSize", `${Number(field(root.narInfo, "NarSize")) + 8}`),
    "another name": changed("StorePath", `${root.storePath}-other`),
    "another path": changed("StorePath", other.storePath),
    "another file": changed("URL", other.url),
    "another compression": changed("Compression", "xz"),
    "a content address": changed("CA", `fixed:r:${field(root.narInfo, "NarHash")}`),
    "cut short": root.narInfo.slice(0, root.narInfo.indexOf("NarSize: ")),
  };
  for (const [what, narInfo] of Object.entries(doctored)) {
    const { status, text } = await put(at, narInfo);
    assert.ok(status >= 400 && status < 500, `${what}: ${status} ${text}`);
    assert.equal(text.trim().split("\n").length, 1, `${what}: ${text}`);
    assert.equal(await (await fetch(at)).text(), served, what);
  }
});
