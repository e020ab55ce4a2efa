/** Proof: a path info that comes without its NAR is taken only if the stored bytes say the same. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { blobKey, chunkKey, directoryKey } from "../../src/castore/layout.ts";
import type { Node } from "../../src/castore/node.ts";
import { ClaimError, ConflictError, DamageError, MissingError } from "../../src/errors.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import { contentAddressedPath } from "../../src/nix/content_address.ts";
import { parseStorePathBase } from "../../src/nix/store_path.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import { calculateNar, type ProofOptions, provenPathInfos } from "../../src/store/prove.ts";
import { receivedNar } from "../../src/store/receive_nar.ts";
import { ingest, narOf, openStore, type Tree } from "./_trees.ts";

const FOO = parseStorePathBase("00bgd045z0d4icpbc2yyz4gx48ak44la-foo");
const OTHER = parseStorePathBase("y7j0h1s346m08pya3s42nhmx0j0mqidh-other");
const TREE: Tree = {
  "!run": fromText("#!/nix/store/y7j0h1s346m08pya3s42nhmx0j0mqidh-other/bin/sh\n"),
  lib: { a: fromText("a"), link: "a" },
};

interface Shop extends ProofOptions {
  readonly info: PathInfo;
  put(change?: Partial<PathInfo>): Promise<PathInfo>;
}

/** A store that holds a tree, and what is true of it. */
async function openShop(tree: Tree = TREE, options: Partial<ProofOptions> = {}): Promise<Shop> {
  const store = openStore();
  const nar = await narOf(tree);
  const { node } = await ingest(store, nar);
  const info = {
    ...{ storePath: FOO, node, references: [], narSha256: sha256(nar), narSize: nar.length },
    ...{ signatures: [], unclaimedReferences: [], registeredAt: 0 },
  };
  const proof: ProofOptions = { ...store, hashes: store.options.hashes, now: () => 1234, ...options };
  return {
    ...{ ...proof, info },
    put: (change = {}) => provenPathInfos(proof).put({ ...info, ...change }),
  };
}

async function refused(
  shop: Shop,
  change: Partial<PathInfo>,
  errorClass: new (...args: never[]) => Error,
  message: RegExp,
): Promise<void> {
  await assert.rejects(shop.put(change), (error: Error) => {
    assert.ok(error instanceof errorClass, `${error}`);
    assert.match(error.message, message);
    return true;
  });
  assert.deepEqual(await Array.fromAsync(shop.pathInfos.list()), []);
}

Deno.test("prove: what is true is published, with when, and what the contents mention besides", async () => {
  const shop = await openShop();
  const signatures = [{ name: "k", data: new Uint8Array(64) }];
  const published = await shop.put({ signatures, registeredAt: 5, unclaimedReferences: ["0".repeat(32)] });
  assert.deepEqual(published, {
    ...{ ...shop.info, signatures, registeredAt: 1234 },
    unclaimedReferences: [OTHER.hashPart],
  });
  assert.deepEqual(await shop.pathInfos.get(FOO.hashPart), published);
});

Deno.test("prove: references may come later", async () => {
  const shop = await openShop();
  assert.deepEqual((await shop.put({ references: [OTHER] })).unclaimedReferences, []);
});

Deno.test("prove: each claim that is not true is refused, and nothing is published", async () => {
  const shop = await openShop();
  const node = shop.info.node as Node & { type: "directory" };
  await refused(shop, { narSha256: new Uint8Array(32) }, ClaimError, /^Cannot accept NarHash sha256:0{52}: /);
  await refused(shop, { narSize: shop.info.narSize + 8 }, ClaimError, /^Cannot accept NarSize \d+: /);
  await refused(
    shop,
    { node: { ...node, size: node.size + 1n } },
    ClaimError,
    /^Cannot accept size 5: .* 4 or 6/,
  );
  await refused(shop, { node: { type: "symlink", target: fromText("x") } }, ClaimError, /NarSize/);
  await refused(
    shop,
    { ca: { method: "nar", algorithm: "sha256", digest: new Uint8Array(32) } },
    ClaimError,
    /^Cannot accept CA fixed:r:sha256:0{52}: the bytes give fixed:r:sha256:/,
  );
  await refused(
    shop,
    { ca: { method: "nar", algorithm: "sha256", digest: shop.info.narSha256 } },
    ClaimError,
    /it makes the path \/nix\/store\/[^ ]+-foo, not \/nix\/store\/00bgd/,
  );
});

Deno.test("prove: a path that is named by its contents is published under the name they make", async () => {
  const shop = await openShop();
  const ca = { method: "nar", algorithm: "sha256", digest: shop.info.narSha256 } as const;
  const storePath = contentAddressedPath({ name: "foo", ca, references: [], selfReference: false });
  await shop.put({ storePath, ca });
  assert.deepEqual((await shop.pathInfos.get(storePath.hashPart))?.ca, ca);
});

Deno.test("prove: under strict, contents that mention what is not listed are refused", async () => {
  const shop = await openShop(TREE, { strictReferences: true });
  await refused(shop, {}, ClaimError, /its contents mention y7j0h1s346m08pya3s42nhmx0j0mqidh, which/);
  await shop.put({ references: [OTHER] });
});

Deno.test("prove: what is not stored, or damaged, cannot be claimed", async () => {
  for (
    const [key, value, errorClass] of [
      ["directory", undefined, MissingError],
      ["blob", undefined, MissingError],
      ["blob", fromText("b"), DamageError],
    ] as const
  ) {
    const store = openStore();
    const nar = await narOf({ a: fromText("a") });
    const { node } = await ingest(store, nar);
    const root = node as Node & { type: "directory" };
    const file = (await store.directories.get(root.digest))!.items[0].node as Node & { type: "file" };
    const where = key === "directory" ? directoryKey(root.digest) : chunkKey(file.digest);
    assert.equal(await store.bytes.has(blobKey(file.digest)), false);
    if (value) await store.bytes.put(where, value);
    else await store.bytes.delete(where);
    const info = { storePath: FOO, node, references: [], narSha256: sha256(nar), narSize: nar.length };
    const pathInfos = provenPathInfos({ ...store, hashes: store.options.hashes });
    await assert.rejects(
      pathInfos.put({ ...info, signatures: [], unclaimedReferences: [], registeredAt: 0 }),
      errorClass,
    );
    assert.deepEqual(await Array.fromAsync(store.pathInfos.list()), []);
  }
});

Deno.test("prove: once published, only signatures are added, without reading the contents again", async () => {
  const shop = await openShop();
  await shop.put();
  const unread = { ...shop, blobs: { ...shop.blobs, open: () => assert.fail("it was read") } };
  const pathInfos = provenPathInfos(unread);
  const signatures = [{ name: "k", data: new Uint8Array(64) }];
  assert.deepEqual((await pathInfos.put({ ...shop.info, signatures })).signatures, signatures);
  await assert.rejects(pathInfos.put({ ...shop.info, narSize: 8 }), ConflictError);
});

Deno.test("prove: a NAR that was calculated is not read again to prove the claim", async () => {
  const shop = await openShop();
  const { narSha256, narSize } = await calculateNar(shop.info.node, shop);
  assert.deepEqual({ narSha256, narSize }, {
    narSha256: shop.info.narSha256,
    narSize: shop.info.narSize,
  });
  assert.deepEqual((await receivedNar(shop.names, narSha256))?.root, shop.info.node);
  const pathInfos = provenPathInfos({
    ...shop,
    blobs: { ...shop.blobs, open: () => assert.fail("it was read") },
  });
  await assert.rejects(pathInfos.put({ ...shop.info, narSize: 8 }), ClaimError);
  assert.deepEqual((await pathInfos.put(shop.info)).unclaimedReferences, [OTHER.hashPart]);
});
