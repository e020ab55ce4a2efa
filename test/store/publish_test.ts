/** Publishing: what is true of the bytes becomes visible, what is not is refused, claim by claim, and changes nothing. */
import assert from "node:assert/strict";
import { type Bytes, fromText } from "../../src/bytes/bytes.ts";
import { ClaimError, ConflictError, LimitError, MissingError } from "../../src/errors.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import {
  type ContentAddress,
  contentAddressedPath,
  parseContentAddress,
} from "../../src/nix/content_address.ts";
import type { NarInfo } from "../../src/nix/nar_info.ts";
import { parseStorePathBase } from "../../src/nix/store_path.ts";
import { hashNarModulo } from "../../src/store/nar_hash.ts";
import { formatNarUrl } from "../../src/store/nar_url.ts";
import type { ProofOptions } from "../../src/store/prove.ts";
import { publish } from "../../src/store/publish.ts";
import { receivedNar, receiveNar } from "../../src/store/receive_nar.ts";
import { vector } from "../nar/_nars.ts";
import { permissions, testNeeding } from "../needs.ts";
import { gzip, nameOf, openReceiver, upload } from "./_uploads.ts";
import { narOf } from "./_trees.ts";

const test = testNeeding(permissions);

const OTHER = parseStorePathBase("y7j0h1s346m08pya3s42nhmx0j0mqidh-foo");

type Receiver = ReturnType<typeof openReceiver>;

const put = (store: Receiver, info: NarInfo, options: Partial<ProofOptions> = {}) =>
  publish(info.storePath.hashPart, info, { ...store, ...options });

/** A store that holds a NAR, and its narinfo. */
async function withNar(
  nar = vector("complicated.nar"),
  base?: string,
): Promise<{ store: Receiver; info: NarInfo }> {
  const store = openReceiver();
  return { store, info: await upload(store, nar, base) };
}

async function refused(
  store: Receiver,
  info: NarInfo,
  errorClass: new (...args: never[]) => Error,
  message: RegExp,
  options?: Partial<ProofOptions>,
): Promise<void> {
  const before = await Array.fromAsync(store.pathInfos.list());
  await assert.rejects(put(store, info, options), (error: Error) => {
    assert.ok(error instanceof errorClass, `${error}`);
    assert.match(error.message, message);
    return true;
  });
  assert.deepEqual(await Array.fromAsync(store.pathInfos.list()), before);
}

test("publish: what is true becomes visible, with when and what it holds", async () => {
  const { store, info } = await withNar();
  const signatures = [{ name: "k", data: new Uint8Array(64) }];
  const deriver = parseStorePathBase("00bgd045z0d4icpbc2yyz4gx48ak44la-foo.drv");
  const stored = await put(store, { ...info, signatures, deriver }, { now: () => 1234 });
  const { root } = (await receivedNar(store.names, info.narHash))!;
  assert.deepEqual(stored, {
    storePath: info.storePath,
    node: root,
    references: [],
    narSha256: info.narHash,
    narSize: 840,
    deriver,
    signatures,
    unclaimedReferences: [],
    registeredAt: 1234,
  });
  assert.deepEqual(await store.pathInfos.get(info.storePath.hashPart), stored);
});

test("publish: a compressed upload, hours later", async () => {
  const store = openReceiver();
  const nar = vector("complicated.nar");
  const zipped = await gzip(nar);
  const name = nameOf(zipped);
  await receiveNar(name, [zipped], store.options);
  const info: NarInfo = {
    storePath: parseStorePathBase("00bgd045z0d4icpbc2yyz4gx48ak44la-foo"),
    url: `nar/${name.text}`,
    compression: "gzip",
    fileHash: { algorithm: "sha256", digest: sha256(zipped) },
    fileSize: zipped.length,
    narHash: sha256(nar),
    narSize: nar.length,
    references: [],
    signatures: [],
  };
  await refused(store, { ...info, compression: "xz" }, ClaimError, /Compression xz/);
  await refused(store, { ...info, fileSize: zipped.length + 1 }, ClaimError, /FileSize/);
  await refused(
    store,
    { ...info, fileHash: { algorithm: "sha256", digest: sha256(nar) } },
    ClaimError,
    /FileHash/,
  );
  const sha1 = { algorithm: "sha1", digest: new Uint8Array(20) } as const;
  await refused(store, { ...info, fileHash: sha1 }, ClaimError, /FileHash/);
  assert.equal((await put(store, { ...info, fileHash: undefined, fileSize: undefined })).narSize, 840);
  assert.equal((await put(store, info)).narSize, 840);
});

test("publish: a narinfo under another name, of another NAR, size or file", async () => {
  const { store, info } = await withNar();
  await assert.rejects(publish(OTHER.hashPart, info, store), ClaimError);
  await refused(
    store,
    { ...info, narHash: new Uint8Array(32) },
    MissingError,
    /was received; upload it first/,
  );
  await refused(store, { ...info, narSize: 841 }, ClaimError, /NarSize 841/);
  const absent = `nar/${nameOf(fromText("absent")).text}`;
  for (const url of [absent, "nar/x", "x", "../etc", `/${info.url}`]) {
    await refused(store, { ...info, url }, MissingError, /no such file was received/);
  }
  const other = await upload(store, vector("symlink.nar"));
  await refused(store, { ...info, url: other.url }, ClaimError, /NarHash/);
  await refused(store, { ...info, compression: "xz" }, ClaimError, /Compression/);
  await refused(store, { ...info, fileSize: 1 }, ClaimError, /FileSize/);
});

test("publish: a URL that carries the node", async () => {
  const { store, info } = await withNar();
  const { root } = (await receivedNar(store.names, info.narHash))!;
  const url = formatNarUrl(root, 840);
  const other = formatNarUrl({ type: "symlink", target: fromText("t") }, 840);
  await refused(store, { ...info, url: other }, ClaimError, /another NAR/);
  await refused(store, { ...info, url, compression: "xz" }, ClaimError, /Compression/);
  assert.equal((await put(store, { ...info, url })).narSize, 840);
});

test("publish: references must be here, but a path may refer to itself", async () => {
  const { store, info } = await withNar();
  const third = parseStorePathBase("bppn0r6splkj24pphgcaqj4l44gsbqs3-foo");
  await refused(
    store,
    { ...info, references: [OTHER] },
    MissingError,
    /y7j0h1s346m08pya3s42nhmx0j0mqidh-foo is not/,
  );
  await refused(store, { ...info, references: [third, OTHER] }, MissingError, /bppn.*and 1 more/);
  const other = await upload(store, vector("symlink.nar"), "y7j0h1s346m08pya3s42nhmx0j0mqidh-foo");
  await put(store, other);
  const references = [OTHER, info.storePath];
  assert.deepEqual((await put(store, { ...info, references })).references, references);
});

test("publish: again, signatures are added and nothing else changes", async () => {
  const { store, info } = await withNar();
  const [a, b] = [1, 2].map((byte) => ({ name: "k", data: new Uint8Array(64).fill(byte) }));
  await put(store, { ...info, signatures: [a] });
  assert.deepEqual((await put(store, { ...info, signatures: [b] })).signatures, [a, b]);
  await refused(store, { ...info, references: [info.storePath] }, ConflictError, /References/);
  const other = await upload(store, vector("symlink.nar"));
  await refused(store, other, ConflictError, /NarHash/);
});

Deno.test("publish: paths in the contents that References does not list", async () => {
  const parts = Array.from({ length: 7 }, (_, i) => "0".repeat(31) + i);
  const nar = await narOf({ f: fromText(parts.map((part) => `${part}-x `).join("")) });
  const { store, info } = await withNar(nar);
  await refused(store, info, ClaimError, /mention .*and 2 more, which References does not list/, {
    strictReferences: true,
  });
  assert.deepEqual((await put(store, info)).unclaimedReferences, parts);

  const own = await withNar(await narOf({ f: fromText("/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-foo") }));
  await refused(own.store, own.info, ClaimError, /does not list/, { strictReferences: true });
  const claimed = { ...own.info, references: [own.info.storePath] };
  assert.deepEqual((await put(own.store, claimed, { strictReferences: true })).unclaimedReferences, []);
});

Deno.test("publish: more paths in the contents than are kept cannot be checked", async () => {
  const digits = "0123456789abcdfghijklmnpqrsvwxyz";
  const hashPart = (i: number) =>
    [10, 5, 0].map((shift) => digits[i >> shift & 31]).join("").padStart(32, "0");
  const nar = await narOf({
    f: fromText(Array.from({ length: 17_000 }, (_, i) => `${hashPart(i)}-x\n`).join("")),
  });
  const { store, info } = await withNar(nar);
  await refused(store, info, LimitError, /over 16384 store paths/, { strictReferences: true });
  assert.equal((await put(store, info)).unclaimedReferences.length, 16_384);
});

/** Content-addressed paths of other implementations: name `foo`, no references. */
const PATHS: Record<string, string> = {
  symlink: "y7j0h1s346m08pya3s42nhmx0j0mqidh-foo",
  helloworld: "bppn0r6splkj24pphgcaqj4l44gsbqs3-foo",
  complicated: "bwrpi2jjp97ik4h6im8rpr0v421ac87x-foo",
};

test("publish: content addresses of archives, and the paths they make", async () => {
  for (const [name, base] of Object.entries(PATHS)) {
    const { store, info } = await withNar(vector(`${name}.nar`), base);
    const ca: ContentAddress = { method: "nar", algorithm: "sha256", digest: info.narHash };
    await refused(store, { ...info, ca: { ...ca, digest: new Uint8Array(32) } }, ClaimError, /CA/);
    const elsewhere = { ...info, storePath: parseStorePathBase("00bgd045z0d4icpbc2yyz4gx48ak44la-foo"), ca };
    await refused(store, elsewhere, ClaimError, new RegExp(`makes the path /nix/store/${base}`));
    await refused(
      store,
      { ...info, storePath: { ...info.storePath, name: "bar" }, ca },
      ClaimError,
      /makes the path/,
    );
    assert.deepEqual((await put(store, { ...info, ca })).ca, ca);
  }
});

/** The narinfo of a NAR under the path its content address makes. */
async function addressed(nar: Bytes, text: string, name = "foo") {
  const ca = parseContentAddress(text);
  const { hashPart } = contentAddressedPath({ name, ca });
  const { store, info } = await withNar(nar, `${hashPart}-${name}`);
  return { store, info: { ...info, ca } };
}

test("publish: content addresses by other hashes, of archives and of single files", async () => {
  const rows: [string, string][] = [
    ["complicated", "fixed:r:sha1:47de7b79dd27fcac4e1202fe761d0890c1321e59"],
    ["complicated", "fixed:r:md5:7fea5625aca92acc134595d75b8df49e"],
    ["symlink", "fixed:r:sha1:424eeaaa9cc016bab030bf007cb1be6483e7ba9e"],
    ["helloworld", "fixed:md5:ed076287532e86365e841e92bfc50d8c"],
    ["helloworld", "fixed:sha256:7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069"],
    ["helloworld", "text:sha256:7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069"],
  ];
  for (const [name, text] of rows) {
    const { store, info } = await addressed(vector(`${name}.nar`), text);
    assert.deepEqual((await put(store, info)).ca, info.ca, text);
    const wrong = await addressed(vector(`${name}.nar`), text.replace(/.$/, "0").replace(/(.)0$/, "$10"));
    if (wrong.info.storePath.hashPart !== info.storePath.hashPart) {
      await refused(wrong.store, wrong.info, ClaimError, /CA/);
    }
  }
  for (const name of ["complicated", "symlink"]) {
    const { store, info } = await addressed(
      vector(`${name}.nar`),
      "fixed:md5:ed076287532e86365e841e92bfc50d8c",
    );
    await refused(store, info, ClaimError, /for a single file, and the path is a/);
  }
});

test("publish: a content-addressed path that refers to itself and to another", async () => {
  // The path is made of the archive with its own hash part left out, so any hash part may stand for it.
  const draft = "0".repeat(32);
  const narWith = (hashPart: string) =>
    narOf({ self: `/nix/store/${hashPart}-foo`, other: `/nix/store/${OTHER.hashPart}-foo` });
  const scratch = openReceiver();
  await upload(scratch, await narWith(draft));
  const { root } = (await receivedNar(scratch.names, sha256(await narWith(draft))))!;
  const digest = await hashNarModulo(root, draft, "sha256", scratch);
  const ca: ContentAddress = { method: "nar", algorithm: "sha256", digest };
  const { hashPart } = contentAddressedPath({ name: "foo", ca, references: [OTHER], selfReference: true });

  const { store, info } = await withNar(await narWith(hashPart), `${hashPart}-foo`);
  await put(store, await upload(store, vector("symlink.nar"), "y7j0h1s346m08pya3s42nhmx0j0mqidh-foo"));
  const references = [info.storePath, OTHER];
  assert.deepEqual((await put(store, { ...info, ca, references }, { strictReferences: true })).ca, ca);
  await refused(store, { ...info, ca, references: [OTHER] }, ClaimError, /CA/);
});
