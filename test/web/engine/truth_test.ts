// What is said of signatures, references and content addresses.
import assert from "node:assert/strict";
import { formatPublicKey, parseSecretKey } from "../../../src/nix/signature.ts";
import { toBase64 } from "../../../src/bytes/base64.ts";
import { concat } from "../../../src/bytes/bytes.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { noise, pathOf } from "../../server/_site.ts";
import { NIXOS_KEY } from "../../../web/engine/settings.ts";
import { open, World } from "./_tab.ts";

const test = testNeeding(permissions);

/** A key pair of this name, made now. */
async function keyPair(name: string) {
  const { privateKey } = await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const { d, x } = await crypto.subtle.exportKey("jwk", privateKey);
  const bytes = (text: string) => Uint8Array.fromBase64(text, { alphabet: "base64url" });
  return await parseSecretKey(`${name}:${toBase64(concat([bytes(d!), bytes(x!)]))}`);
}

test("engine: signatures are valid, invalid, or of a key that nobody trusts", async () => {
  const [key, other] = [await keyPair("cache-1"), await keyPair("cache-1")];
  await using world = await World.open({ secretKeys: [key] });
  const path = await world.publish("signed", { file: "contents" });
  const tab = world.tab();
  assert.deepEqual((await tab.engine.settings()).trustedKeys, [NIXOS_KEY]);
  await open(tab, world, path);
  const verdict = async () => {
    const { signatures, trusted } = await tab.engine.truth(path);
    return [signatures.map(({ key, verdict }) => [key, verdict]), trusted];
  };
  assert.deepEqual(await verdict(), [[["cache-1", "unknown key"]], false]);
  await tab.engine.configure({ trustedKeys: [formatPublicKey(other.publicKey)] });
  assert.deepEqual(await verdict(), [[["cache-1", "invalid"]], false], "a key of that name, but another");
  await tab.engine.configure({ trustedKeys: [` ${formatPublicKey(key.publicKey)}\n`, NIXOS_KEY] });
  assert.deepEqual(await verdict(), [[["cache-1", "valid"]], true]);
});

test("engine: claims stay unverified until all bytes are here", async () => {
  await using world = await World.open();
  const unlisted = pathOf("unlisted");
  const lib = await world.publish("lib", { lib: "x" });
  const References = lib.slice("/nix/store/".length);
  const path = await world.publish("mentions", { text: `/nix/store/${unlisted}`, more: noise(1000) }, {
    References,
  });
  const tab = world.tab();
  await open(tab, world, path);
  const before = await tab.engine.truth(path);
  assert.deepEqual([before.narHash.verdict, before.narSize.verdict, before.references.verdict], [
    "unverified",
    "true",
    "unverified",
  ]);
  await tab.engine.complete(path);
  const after = await tab.engine.truth(path);
  assert.deepEqual([after.state, after.narHash.verdict], ["whole", "true"]);
  assert.deepEqual(after.references, {
    verdict: "false",
    listed: [lib],
    unlisted: [unlisted.slice(0, 32)],
    absent: [lib],
  });
  assert.ok(after.verifiedAt! > 0);
});
