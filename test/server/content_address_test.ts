// Content-addressed paths: those that nix 2.8.0 made are taken, and nothing that differs from them in one claim is.
// `content_addresses.json` is what `nix path-info --json` said of them, with `nix-store --dump` in gzip: builtins.toFile,
// `nix-store --add-fixed` with each hash, flat and --recursive, and `nix store make-content-addressed` (the last two).
import assert from "node:assert/strict";
import { fromBase64 } from "../../src/bytes/base64.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { parseHash } from "../../src/nix/hash_text.ts";
import {
  assertRefused,
  assertTaken,
  fileNar,
  type NarFile,
  narFile,
  narInfo,
  type NarInfoChanges,
  narInfoName,
  nix32,
  sha256,
  type Site,
  siteTest,
} from "./_site.ts";
import VECTORS from "./content_addresses.json" with { type: "json" };

interface Vector {
  readonly path: string;
  readonly ca: string;
  readonly file: NarFile;
  readonly changes: NarInfoChanges;
}

const base = (path: string) => path.slice("/nix/store/".length);

const vectors: Vector[] = [];
for (const { path, ca, narHash, narSize, references, narGzip } of VECTORS) {
  const bytes: Bytes = fromBase64(narGzip);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const nar = new Uint8Array(await new Response(stream).arrayBuffer());
  assert.equal(nar.length, narSize);
  assert.deepEqual(sha256(nar), parseHash(narHash).digest);
  const file = await narFile(nar, "none");
  const changes = { NarHash: narHash, References: references.map(base).join(" "), CA: ca };
  vectors.push({ path: base(path), ca, file, changes });
}

/** The one vector whose field is so. */
function vector(ca: RegExp, name = /(?:)/): Vector {
  const found = vectors.filter((vector) => ca.test(vector.ca) && name.test(vector.path));
  assert.equal(found.length, 1, `${ca}`);
  return found[0];
}

async function putAll(site: Site): Promise<void> {
  for (const { path, file, changes } of vectors) await site.publish(path, file, changes);
}

siteTest("what nix made is taken, and served with its CA", async (site) => {
  await putAll(site);
  for (const { path, ca } of vectors) {
    const text = await (await site.get(narInfoName(path))).text();
    assert.ok(text.includes(`\nCA: ${ca}\n`), text);
  }
});

siteTest("a CA of other contents is refused, whatever its kind", async (site) => {
  for (const { path, ca, file, changes } of vectors) {
    await site.putNar(file);
    const [, kind, digit] = /^(.*:)(.)/.exec(ca)!;
    const wrong = kind + ca.slice(kind.length).replace(digit, digit === "0" ? "1" : "0");
    // The last of them refer to the first, which so must be there.
    const answer = await site.put(narInfoName(path), narInfo(path, file, { ...changes, CA: wrong }));
    await assertRefused(answer, 400, /^Cannot accept CA \S+: the bytes give \S+|Cannot parse/);
    await site.assertNoPath(path);
    await assertTaken(await site.put(narInfoName(path), narInfo(path, file, changes)));
  }
});

siteTest("the right CA of contents whose path is another is refused", async (site) => {
  await putAll(site);
  for (const { path, file, changes, ca } of vectors) {
    if (String(changes.References).includes(path)) continue; // a path that is in its own contents cannot be another
    const elsewhere = "0".repeat(32) + path.slice(32);
    const text = narInfo(elsewhere, file, changes);
    await assertRefused(
      await site.put(narInfoName(elsewhere), text),
      400,
      /^Cannot accept CA \S+: it makes the path \/nix\/store\/\S+, not \/nix\/store\/0{32}-/,
    );
    await site.assertNoPath(elsewhere);
    // The name is part of what is hashed.
    const renamed = path + "-renamed";
    const answer = await site.put(narInfoName(renamed), narInfo(renamed, file, changes));
    await assertRefused(answer, 400, /it makes the path \S+-renamed, not/);
    assert.ok((await (await site.get(narInfoName(path))).text()).includes(ca));
  }
});

siteTest("the CA of one kind is not taken for another", async (site) => {
  await putAll(site);
  const flat = vector(/^fixed:sha256:/);
  const tree = vector(/^fixed:r:sha256:/, /-tree$/);
  const text = vector(/^text:/, /-t\.txt$/);
  const hash = (ca: string) => ca.slice(ca.lastIndexOf(":") + 1);
  const narHash = nix32(sha256(flat.file.nar));
  const cases: [Vector, string, RegExp][] = [
    [flat, `fixed:r:sha256:${hash(flat.ca)}`, /the bytes give fixed:r:sha256:/],
    [flat, `fixed:r:sha256:${narHash}`, /it makes the path/],
    [flat, `text:sha256:${hash(flat.ca)}`, /it makes the path/],
    [text, `fixed:sha256:${hash(text.ca)}`, /it makes the path/],
    [tree, `fixed:sha256:${hash(tree.ca)}`, /it is for a single file, and the path is a directory/],
    [tree, `text:sha256:${hash(tree.ca)}`, /it is for a single file, and the path is a directory/],
    [flat, `text:sha1:${"0".repeat(32)}`, /CA: Cannot parse content address.*text goes with sha256 only/],
    [flat, "fixed:sha256:", /CA: Cannot parse content address/],
    [flat, "git:sha1:" + "0".repeat(32), /CA: Cannot parse content address/],
  ];
  for (const [{ path, file, changes }, ca, why] of cases) {
    const answer = await site.put(narInfoName(path), narInfo(path, file, { ...changes, CA: ca }));
    await assertRefused(answer, 400, why);
  }
});

siteTest("references are part of a content-addressed path", async (site) => {
  await putAll(site);
  const [one] = vectors;
  const dependent = vector(/^text:/, /-tr\.txt$/);
  const flat = vector(/^fixed:sha256:/);
  const cases: [Vector, string, RegExp][] = [
    [dependent, "", /it makes the path/],
    [dependent, `${dependent.changes.References} ${one.path}`, /it makes the path/],
    [flat, one.path, /cannot have references/],
    [flat, flat.path, /only nar with sha256 may refer to itself/],
  ];
  for (const [{ path, file, changes }, references, why] of cases) {
    const answer = await site.put(
      narInfoName(path),
      narInfo(path, file, { ...changes, References: references }),
    );
    await assertRefused(answer, 400, why);
  }
});

siteTest(
  "a path that refers to itself: its hash part counts as nothing, wherever it stands",
  async (site) => {
    const self = vector(/^fixed:r:sha256:/, /-self$/);
    const dep = vector(/^fixed:r:sha256:/, /-dep\.txt$/);
    await site.publish(dep.path, dep.file, dep.changes);
    await site.putNar(self.file);
    const cases: [NarInfoChanges, RegExp][] = [
      // Not said to refer to itself: then the hash is that of the whole NAR.
      [{ References: dep.path }, /^Cannot accept CA \S+: the bytes give fixed:r:sha256:/],
      // The hash of the whole NAR, where it does.
      [
        { CA: `fixed:r:sha256:${nix32(sha256(self.file.nar))}` },
        /the bytes give fixed:r:sha256:0qflbbgsx65nfajf/,
      ],
      [{ References: self.path }, /it makes the path/],
    ];
    for (const [changes, why] of cases) {
      const text = narInfo(self.path, self.file, { ...self.changes, ...changes });
      await assertRefused(await site.put(narInfoName(self.path), text), 400, why);
      await site.assertNoPath(self.path);
    }
    await site.publish(self.path, self.file, self.changes);
    const info = await site.services.pathInfos.get(self.path.slice(0, 32));
    assert.deepEqual(info!.unclaimedReferences, []);
  },
);

siteTest("a CA may neither be added, nor changed, nor taken away", async (site) => {
  const tree = vector(/^fixed:r:sha256:/, /-tree$/);
  const { path, file, changes } = tree;
  await site.publish(path, file, changes);
  const without = narInfo(path, file, { ...changes, CA: null });
  await assertRefused(await site.put(narInfoName(path), without), 409, /CA is \S+ and would become absent/);

  const flat = vector(/^fixed:sha256:/);
  await site.publish(flat.path, flat.file, { ...flat.changes, CA: null });
  const added = narInfo(flat.path, flat.file, flat.changes);
  await assertRefused(await site.put(narInfoName(flat.path), added), 409, /CA is absent and would become/);
});

siteTest("a flat CA of a long file is proven from its chunks", async (site) => {
  // The path is another's word: `nix-store --print-fixed-path sha256 <hash> long`.
  const bytes = new Uint8Array(3_000_000);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * i) >> 5;
  const file = await site.putNar(await narFile(await fileNar(bytes), "zstd"));
  const path = "5fi2lcp27q03zpkrs9p2n1xzcchlmnlp-long";
  const CA = `fixed:sha256:${nix32(sha256(bytes))}`;
  await assertTaken(await site.put(narInfoName(path), narInfo(path, file, { CA })));
});
