// What Nix has recorded, from its database and from its command: the same, and what real versions of it print.
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { askNix } from "../../../src/adapters/nix_db/nix_command.ts";
import { openNixDatabase } from "../../../src/adapters/nix_db/nix_database.ts";
import { parsePathInfoJson } from "../../../src/adapters/nix_db/path_info_json.ts";
import { fromHex, toHex } from "../../../src/bytes/hex.ts";
import { FormatError, UnreadableError } from "../../../src/errors.ts";
import { formatContentAddress } from "../../../src/nix/content_address.ts";
import { formatNixHash, formatSri } from "../../../src/nix/hash_text.ts";
import { formatSignature } from "../../../src/nix/signature.ts";
import { parseStorePath, storePathBase } from "../../../src/nix/store_path.ts";
import { sampler } from "../../e2e/closures.ts";
import { nixTest, User } from "../../e2e/nix.ts";

for (const name of ["old", "new"] as const) {
  nixTest("the database and the command tell the same of a closure", name, async (nix, folder) => {
    const { root, paths, narHashes } = await sampler(`${folder}/builder`);
    const user = new User(nix, `${folder}/user`);
    const store = `${folder}/elsewhere`;
    const key = await user.nixCommand("key", "generate-secret", "--key-name", "test-1");
    await Deno.writeTextFile(`${folder}/key`, key);
    await user.nixCommand("copy", "--no-check-sigs", "--to", store, root);
    await user.nixCommand(
      "store",
      "sign",
      "--store",
      store,
      "--recursive",
      "--key-file",
      `${folder}/key`,
      root,
    );
    const added =
      (await user.nixCommand("store", "add-path", "--store", store, "--name", "added", `${folder}/key`))
        .trim();
    using database = openNixDatabase(`${store}/nix/var/nix/db/db.sqlite`);
    const roots = [root, added].map((path) => parseStorePath(path));
    const before = Deno.env.get("PATH")!;
    Deno.env.set("PATH", `${nix.folder.replace(/\/$/, "")}:${before}`);
    try {
      using command = await askNix(roots, { recursive: true, root: store });
      for (const path of [...paths, added].map((path) => parseStorePath(path))) {
        const found = database.find(path);
        assert.ok(found, storePathBase(path));
        const references = (list: typeof found) => ({
          ...list,
          references: list.references.map(storePathBase).toSorted(),
        });
        assert.deepEqual(references(found), references(command.find(path)!));
      }
      const alone = await askNix(roots.slice(0, 1), { recursive: false, root: store });
      assert.equal(alone.find(parseStorePath(paths[0])), undefined);
      await assert.rejects(
        askNix([parseStorePath(`/nix/store/${"0".repeat(32)}-absent`)], { recursive: true, root: store }),
      );
    } finally {
      Deno.env.set("PATH", before);
    }
    const top = database.find(roots[0])!;
    assert.equal(top.signatures[0].name, "test-1");
    assert.equal(formatNixHash("sha256", top.narSha256), narHashes.get(root));
    assert.match(formatContentAddress(database.find(roots[1])!.ca!), /^fixed:r:sha256:/);
    assert.equal(database.find(parseStorePath(`/nix/store/${"0".repeat(32)}-absent`)), undefined);
  });
}

const BASE = "1y81agc2az5b7y16yccc70gjklqxjy7h-sampler";
const OTHER = "34433dg68l5xvm6y5m2772pbp2s5b9dv-tree";
const DRV = "waflwhl339m4gmc3id5l0nkhpi4r0pkb-sampler.drv";
const HASH = formatSri("sha256", fromHex("ab".repeat(32)));
const SIGNATURE = formatSignature({ name: "key-1", data: new Uint8Array(64) });

Deno.test("the shapes that nix path-info has printed over the years are read alike", () => {
  const absolute = {
    ...{ narHash: HASH, narSize: 400, references: [`/nix/store/${OTHER}`], deriver: `/nix/store/${DRV}` },
    ...{ signatures: [SIGNATURE], ca: `fixed:r:${HASH}`, registrationTime: 1, ultimate: true },
  };
  const hash = { algorithm: "sha256", format: "base16", hash: "ab".repeat(32) };
  const base64 = { algorithm: "sha256", format: "base64", hash: HASH.slice("sha256-".length) };
  const based = (narHash: unknown, caHash: unknown) => ({
    ...{ narHash, narSize: 400, references: [OTHER], deriver: DRV, signatures: [SIGNATURE] },
    ...{ ca: { method: "nar", hash: caHash }, version: 2, storeDir: "/nix/store" },
  });
  const shapes = [
    [{ path: `/nix/store/${BASE}`, ...absolute }, { path: `/nix/store/${OTHER}`, valid: false }],
    { [`/nix/store/${BASE}`]: absolute, [`/nix/store/${OTHER}`]: null },
    { [`/nix/store/${BASE}`]: { ...absolute, storeDir: "/nix/store" } },
    { version: 2, storeDir: "/nix/store", info: { [BASE]: based(HASH, HASH), [OTHER]: null } },
    { version: 2, storeDir: "/nix/store", info: { [BASE]: based(hash, base64) } },
  ];
  const [first, ...rest] = shapes.map((shape) => parsePathInfoJson(JSON.stringify(shape)));
  assert.deepEqual([...first.keys()], [BASE]);
  const info = first.get(BASE)!;
  assert.deepEqual([toHex(info.narSha256), info.narSize], ["ab".repeat(32), 400]);
  assert.deepEqual(info.references.map(storePathBase), [OTHER]);
  assert.equal(storePathBase(info.deriver!), DRV);
  for (const other of rest) assert.deepEqual(other, first);
});

Deno.test("what nix path-info never printed is refused", () => {
  const wrong: [unknown, RegExp][] = [
    ["x", /neither/],
    [[{}], /no path/],
    [{ [`/nix/store/${BASE}`]: 1 }, /no object/],
    [{ [`/nix/store/${BASE}`]: { narHash: HASH, narSize: 1 } }, /references/],
    [{ [`/nix/store/${BASE}`]: { narHash: HASH, references: [] } }, /NAR size/],
    [{ [`/nix/store/${BASE}`]: { narSize: 5, references: [] } }, /NAR hash/],
    [
      { [`/nix/store/${BASE}`]: { narHash: HASH, narSize: 5, references: [], ca: "fixed:git:x" } },
      /Nix has recorded/,
    ],
    [{ [`/elsewhere/${BASE}`]: { narHash: HASH, narSize: 5, references: [] } }, /store path/],
  ];
  for (const [shape, why] of wrong) {
    assert.throws(
      () => parsePathInfoJson(JSON.stringify(shape)),
      (error) => error instanceof FormatError && why.test(error.message),
      JSON.stringify(shape),
    );
  }
  assert.throws(() => parsePathInfoJson("{"), FormatError);
});

nixTest("a database that is none, or is not there, is told", "old", async (_nix, folder) => {
  assert.throws(() => openNixDatabase(`${folder}/absent`), UnreadableError);
  await Deno.writeTextFile(`${folder}/text`, "this is no database, however long it may be".repeat(100));
  assert.throws(() => openNixDatabase(`${folder}/text`), UnreadableError);
  new DatabaseSync(`${folder}/empty`).close();
  assert.throws(() => openNixDatabase(`${folder}/empty`), UnreadableError);
});
