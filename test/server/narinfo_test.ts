// narinfos that claim what is not so: each is refused with what differs, and the path stays unknown.
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { concat, fromText } from "../../src/bytes/bytes.ts";
import { toBase64 } from "../../src/bytes/base64.ts";
import { bzip2, xz } from "../needs.ts";
import {
  assertRefused,
  assertTaken,
  compress,
  fileNar,
  type NarFile,
  narFile,
  narInfo,
  type NarInfoChanges,
  narInfoName,
  nix32,
  noise,
  pathOf,
  sha256,
  type Site,
  siteTest,
  treeNar,
} from "./_site.ts";

const PATH = pathOf("doctored");

/** Puts a narinfo, which must be refused and leave the path unknown. */
async function assertNarInfoRefused(
  site: Site,
  text: BodyInit,
  status: number,
  why: RegExp,
  path = PATH,
): Promise<void> {
  await assertRefused(await site.put(narInfoName(path), text), status, why);
  await site.assertNoPath(path);
}

async function uploaded(site: Site, compression = "xz", contents = "contents"): Promise<NarFile> {
  return await site.putNar(await narFile(await fileNar(contents), compression));
}

const otherHash = `sha256:${nix32(sha256(fromText("another")))}`;

siteTest("a narinfo with one false claim is refused, and named; the true one is then taken", async (site) => {
  const file = await uploaded(site);
  const cases: [NarInfoChanges, RegExp][] = [
    [{ NarHash: otherHash }, new RegExp(`^Cannot accept the narinfo: no NAR with NarHash ${otherHash} was`)],
    [
      { NarSize: String(file.nar.length + 1) },
      /^Cannot accept NarSize 121: the bytes give 120$/m,
    ],
    [{ NarSize: "1" }, /^Cannot accept NarSize 1: the bytes give \d+/],
    [{ Compression: "none" }, /^Cannot accept Compression none: the bytes give xz/],
    [{ Compression: "zstd" }, /^Cannot accept Compression zstd: the bytes give xz/],
    [{ Compression: "bzip2" }, /^Cannot accept Compression bzip2: the bytes give xz/],
    [{ Compression: null }, /^Cannot accept Compression bzip2: the bytes give xz/], // what a missing one means
    [{ Compression: "lz4" }, /^Cannot accept Compression lz4: the bytes give xz/],
    [{ FileHash: otherHash }, /^Cannot accept FileHash sha256:\w+: the bytes give sha256:\w+/],
    [{ FileHash: `sha1:${"0".repeat(40)}` }, /^Cannot accept FileHash sha1:\w+: the bytes give sha256:\w+/],
    [{ FileSize: String(file.bytes.length - 1) }, /^Cannot accept FileSize \d+: the bytes give \d+/],
    [{ FileSize: "0" }, /^Cannot accept FileSize 0: the bytes give \d+/],
    [{ URL: `nar/${otherHash.slice(7)}.nar.xz` }, /^Cannot accept URL nar\/\w+\.nar\.xz: no such file/],
    [{ URL: file.url.replace(".xz", "") }, /^Cannot accept URL nar\/\w+\.nar: no such file/],
    [{ URL: "https://elsewhere.example/" + file.url }, /^Cannot accept URL https:.*: no such file/],
    [{ URL: "../" + file.url }, /^Cannot accept URL \.\.\/.*: no such file/],
    [{ URL: "nar/snix-castore/AAAA?narsize=120" }, /^Cannot /],
    [{ StorePath: `/nix/store/${pathOf("other")}` }, /StorePath \/nix\/store\/\S+-other does not belong to/],
    [{ StorePath: `/gnu/store/${PATH}` }, /line 1, StorePath: .*not below \/nix\/store/],
    [{ StorePath: `/nix/store/${PATH}/bin` }, /line 1, StorePath/],
    [{ References: pathOf("nowhere") }, /its reference \/nix\/store\/\S+-nowhere is not in this store/],
    [
      { References: `${pathOf("nowhere")} ${pathOf("neither")}` },
      /its reference \S+-nowhere and 1 more is not in this store/,
    ],
  ];
  for (const [changes, why] of cases) {
    await assertNarInfoRefused(site, narInfo(PATH, file, changes), 400, why);
  }
  await assertTaken(await site.put(narInfoName(PATH), narInfo(PATH, file)));
  assert.equal((await site.get(narInfoName(PATH))).status, 200);
}, { needs: [xz] });

siteTest("the NarHash of another NAR that is here is refused", async (site) => {
  const file = await uploaded(site);
  const other = await uploaded(site, "xz", "another, of the same length!!");
  await assertNarInfoRefused(
    site,
    narInfo(PATH, file, { NarHash: `sha256:${nix32(sha256(other.nar))}`, NarSize: String(other.nar.length) }),
    400,
    /^Cannot accept NarHash sha256:\w+: the bytes give sha256:\w+/,
  );
}, { needs: [xz] });

siteTest("a URL of this store's own kind is taken, and of another NAR refused", async (site) => {
  const [one, two] = [pathOf("one"), pathOf("two")];
  await site.publish(one, await narFile(await fileNar("one"), "xz"));
  await site.publish(two, await narFile(await fileNar("two"), "xz"));
  const served = await (await site.get(narInfoName(one))).text();
  await assertTaken(await site.put(narInfoName(one), served));
  const urlOfTwo = /^URL: (.*)$/m.exec(await (await site.get(narInfoName(two))).text())![1];
  await assertNarInfoRefused(
    site,
    served.replace(/^StorePath: .*/m, `StorePath: /nix/store/${PATH}`).replace(
      /^URL: .*/m,
      `URL: ${urlOfTwo}`,
    ),
    400,
    /^Cannot accept URL nar\/snix-castore\/\S+: it is of another NAR/,
  );
}, { needs: [xz] });

siteTest("text that is no narinfo is refused", async (site) => {
  const file = await uploaded(site);
  const right = narInfo(PATH, file);
  const cases: [BodyInit, RegExp][] = [
    ["", /^Cannot parse narinfo: it has no StorePath/],
    ["no colon\n", /^Cannot parse narinfo: line 1 has no colon/],
    [right.replace(/^NarHash: .*\n/m, ""), /it has no NarHash/],
    [right.replace(/^NarSize: .*/m, "NarSize: -1"), /line 7, NarSize/],
    [right.replace(/^NarSize: .*/m, "NarSize: 0"), /line 7, NarSize/],
    [right.replace(/^NarSize: .*/m, "NarSize: 0x10"), /line 7, NarSize/],
    [right.replace(/^NarHash: .*/m, "NarHash: sha1:" + "0".repeat(32)), /line 6, NarHash: want sha256/],
    [right + "NarSize: 120\n", /line 9 has a second NarSize/],
    [right + "Sig: unsigned\n", /line 9, Sig/],
    [right + "Deriver: nothing.drv\n", /line 9, Deriver/],
    [right + `Deriver: ${pathOf("not-a-derivation")}\n`, /deriver.*\.drv/i],
    [right + "CA: fixed:git:sha1:0\n", /line 9, CA/],
    [right.replace("References: ", `References: ${pathOf("a")}/b`), /line 8, References/],
    [concat([fromText(right), Uint8Array.of(0xff, 0x0a)]), /^Cannot read the narinfo: it is not UTF-8 text/],
    [concat([Uint8Array.of(0xc3), fromText(right)]), /not UTF-8/],
    [Uint8Array.of(0x1f, 0x8b, 8, 0), /^Cannot /],
  ];
  for (const [body, why] of cases) await assertNarInfoRefused(site, body, 400, why);
  await assertTaken(await site.put(narInfoName(PATH), right));
}, { needs: [xz] });

siteTest("a narinfo over 2 MiB is refused, also one that is so when it is decompressed", async (site) => {
  const file = await uploaded(site);
  const long = narInfo(PATH, file) + `X-Filler: ${"x".repeat(2 * 1024 * 1024)}\n`;
  await assertNarInfoRefused(site, long, 413, /^Cannot take the narinfo: it has over 2097152 bytes/);
  for (const encoding of ["gzip", "br", "zstd", "xz"]) {
    const packed = await compress(encoding, fromText(long));
    const answer = await site.put(narInfoName(PATH), packed, { "content-encoding": encoding });
    await assertRefused(answer, 413, /^Cannot take the narinfo: it has over 2097152 bytes/);
    await site.assertNoPath(PATH);
  }
  const member = gzipSync(new Uint8Array(16 * 1024 * 1024));
  const started = performance.now();
  const bomb = concat(Array(256).fill(member));
  const answer = await site.put(narInfoName(PATH), bomb, { "content-encoding": "gzip" });
  await assertRefused(answer, 413, /over 2097152 bytes/);
  assert.ok(performance.now() - started < 2000, "refused without decompressing 4 GiB");
}, { needs: [xz] });

siteTest("a narinfo in any Content-Encoding that is known is taken", async (site) => {
  const file = await uploaded(site);
  for (const encoding of ["gzip", "x-gzip", "br", "zstd", "xz", "bzip2", "identity", "GZIP"]) {
    const path = pathOf(`encoded-${encoding}`);
    const text = fromText(narInfo(path, file));
    const name = encoding.toLowerCase().replace("x-", "").replace("identity", "none");
    const body = await compress(name, text);
    await assertTaken(await site.put(narInfoName(path), body, { "content-encoding": encoding }));
    assert.match(await (await site.get(narInfoName(path))).text(), /^StorePath: .*encoded/);
  }
  for (const encoding of ["lz4", "compress", "gzip, gzip", "br;q=1"]) {
    const answer = await site.put(narInfoName(PATH), narInfo(PATH, file), { "content-encoding": encoding });
    await assertRefused(
      answer,
      415,
      /^Cannot take Content-Encoding .*: want gzip, br, zstd, xz, bzip2 or none/,
    );
    await site.assertNoPath(PATH);
  }
  for (const encoding of ["gzip", "br", "zstd", "xz"]) {
    const answer = await site.put(narInfoName(PATH), narInfo(PATH, file), { "content-encoding": encoding });
    await assertRefused(answer, 400, /^Cannot decompress/);
    await site.assertNoPath(PATH);
  }
}, { needs: [xz, bzip2] });

siteTest("a narinfo before its NAR is refused, and taken after it", async (site) => {
  const file = await narFile(await treeNar({ a: "b" }), "zstd");
  const text = narInfo(PATH, file);
  await assertNarInfoRefused(site, text, 400, /no NAR with NarHash sha256:\w+ was received; upload it first/);
  await site.putNar(file);
  await assertTaken(await site.put(narInfoName(PATH), text));
});

siteTest("a narinfo under a name that is no hash part is refused", async (site) => {
  const file = await uploaded(site);
  for (const name of ["e".repeat(32), "t" + PATH.slice(1, 32), "u".repeat(32)]) {
    const answer = await site.put(`${name}.narinfo`, narInfo(PATH, file));
    await assertRefused(answer, 400, /^Cannot accept \w{32}\.narinfo: the name is no hash part/);
    assert.equal((await site.get(`${name}.narinfo`)).status, 404);
  }
  for (
    const name of [PATH.slice(0, 31), PATH.slice(0, 32) + "0", PATH.slice(0, 32).toUpperCase(), "", "%00"]
  ) {
    await assertRefused(await site.put(`${name}.narinfo`, narInfo(PATH, file)), 404, /404 Not Found/);
  }
  await site.assertNoPath(PATH);
}, { needs: [xz] });

siteTest("a path may refer to itself, and to paths that are here", async (site) => {
  const other = pathOf("other");
  await site.publish(other, await narFile(await fileNar("other")));
  const file = await narFile(await fileNar(`/nix/store/${PATH}/bin /nix/store/${other}`), "xz");
  await site.publish(PATH, file, { References: `${other} ${PATH}` });
  const info = await site.services.pathInfos.get(PATH.slice(0, 32));
  assert.deepEqual(info!.unclaimedReferences, []);
}, { needs: [xz] });

siteTest("a reference the contents have and the narinfo has not is noted with the path", async (site) => {
  const [here, absent] = [pathOf("here"), pathOf("absent")];
  await site.publish(here, await narFile(await fileNar("here")));
  const nar = await treeNar({ a: `see /nix/store/${absent}/lib and`, b: { link: `/nix/store/${here}` } });
  await site.publish(PATH, await narFile(nar, "xz"));
  const info = await site.services.pathInfos.get(PATH.slice(0, 32));
  assert.deepEqual(info!.unclaimedReferences, [here.slice(0, 32), absent.slice(0, 32)].sort());
  const line = site.log.find((line) => line.startsWith(`published /nix/store/${PATH} `));
  assert.match(line!, /contents mention 2 paths that References does not list/);
  assert.ok(line!.includes(absent.slice(0, 32)) && line!.includes(here.slice(0, 32)));
}, { needs: [xz] });

siteTest("under strict, it is refused", async (site) => {
  const absent = pathOf("absent");
  const file = await site.putNar(await narFile(await fileNar(`see /nix/store/${absent}/lib`), "xz"));
  await assertNarInfoRefused(
    site,
    narInfo(PATH, file),
    400,
    new RegExp(
      `^Cannot accept /nix/store/[^ ]+: its contents mention ${absent.slice(0, 32)}, which References`,
    ),
  );
  await site.publish(absent, await narFile(await fileNar("absent no more")));
  await assertTaken(await site.put(narInfoName(PATH), narInfo(PATH, file, { References: absent })));
}, { strictReferences: true, needs: [xz] });

siteTest(
  "under strict, contents that are nothing but references are refused, and noted otherwise",
  async (site) => {
    let text = "";
    for (let i = 0; i < 17_000; i++) text += pathOf(`r${i}`) + "\n";
    const file = await site.putNar(await narFile(await fileNar(text), "zstd"));
    await assertNarInfoRefused(site, narInfo(PATH, file), 413, /mentions over 16384 store paths/);
  },
  { strictReferences: true },
);

const signature = (name: string, seed: number) => `${name}:${toBase64(noise(64, seed))}`;

siteTest("a narinfo put again adds its signatures, each once", async (site) => {
  const file = await uploaded(site);
  const served = async () => (await (await site.get(narInfoName(PATH))).text()).match(/^Sig: .*$/gm) ?? [];
  const [a, b, c] = [signature("key-1", 1), signature("key-2", 2), signature("key-1", 3)];
  const lines = (...signatures: string[]) => signatures.map((one) => `Sig: ${one}`);
  for (
    const [sent, expected] of [
      [[], []],
      [[a], [a]],
      [[b, a], [a, b]],
      [[], [a, b]],
      [[c, c], [a, b, c]],
    ]
  ) {
    await assertTaken(await site.put(narInfoName(PATH), narInfo(PATH, file, { Sig: sent })));
    assert.deepEqual(await served(), lines(...expected));
  }
}, { needs: [xz] });

siteTest("signatures put at the same time are all kept", async (site) => {
  const file = await uploaded(site);
  const signatures = Array.from({ length: 20 }, (_, i) => signature(`key-${i}`, i + 1));
  const answers = await Promise.all(
    signatures.map((one) => site.put(narInfoName(PATH), narInfo(PATH, file, { Sig: one }))),
  );
  for (const answer of answers) await assertTaken(answer);
  const served = (await (await site.get(narInfoName(PATH))).text()).match(/^Sig: .*$/gm);
  assert.deepEqual(served!.sort(), signatures.map((one) => `Sig: ${one}`).sort());
}, { needs: [xz] });

siteTest("a narinfo put again may change nothing else", async (site) => {
  const [one, two] = [pathOf("one"), pathOf("two")];
  for (const path of [one, two]) await site.publish(path, await narFile(await fileNar(path), "xz"));
  const file = await uploaded(site);
  const other = await uploaded(site, "xz", "other contents");
  const drv = `${pathOf("it")}.drv`;
  const right = { References: one, Deriver: drv };
  await assertTaken(await site.put(narInfoName(PATH), narInfo(PATH, file, right)));
  const before = await (await site.get(narInfoName(PATH))).text();
  const renamed = PATH.slice(0, 32) + "-renamed";
  const cases: [string, string, RegExp][] = [
    ["StorePath", narInfo(renamed, file, right), /StorePath is \S+-doctored and would become \S+-renamed/],
    ["NarHash", narInfo(PATH, other, right), /NarHash is sha256:\w+ and would become sha256:\w+/],
    ["References", narInfo(PATH, file, { ...right, References: two }), /References is \S+-one and .*-two/],
    [
      "no References",
      narInfo(PATH, file, { ...right, References: "" }),
      /References is \S+-one and .* empty/,
    ],
    ["more References", narInfo(PATH, file, { ...right, References: `${one} ${two}` }), /References is/],
    [
      "Deriver",
      narInfo(PATH, file, { ...right, Deriver: `${pathOf("other")}.drv` }),
      /Deriver is \S+-it\.drv/,
    ],
    ["no Deriver", narInfo(PATH, file, { ...right, Deriver: null }), /Deriver is .* would become absent/],
  ];
  for (const [title, text, why] of cases) {
    await assertRefused(await site.put(narInfoName(PATH), text), 409, why);
    assert.equal(await (await site.get(narInfoName(PATH))).text(), before, title);
  }
  // NarSize cannot be changed alone: it is the size of the NAR that NarHash names.
  const longer = narInfo(PATH, file, { ...right, NarSize: "4096" });
  await assertRefused(await site.put(narInfoName(PATH), longer), 400, /^Cannot accept NarSize 4096/);
  // Another file with the same NAR is no change.
  const again = await site.putNar(await narFile(file.nar, "gzip"));
  await assertTaken(await site.put(narInfoName(PATH), narInfo(PATH, again, right)));
  assert.equal(await (await site.get(narInfoName(PATH))).text(), before);
}, { needs: [xz] });
