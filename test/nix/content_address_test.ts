// Vectors: nix-compat src/store_path/utils.rs and src/nixhash; store paths of NARs computed independently.
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { fromNixBase32 } from "../../src/bytes/nixbase32.ts";
import { FormatError } from "../../src/errors.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import {
  type ContentAddress,
  contentAddressedPath,
  formatContentAddress,
  parseContentAddress,
} from "../../src/nix/content_address.ts";
import { formatStorePath, parseStorePathBase, storePathBase } from "../../src/nix/store_path.ts";

function text(content: string): ContentAddress {
  return { method: "text", algorithm: "sha256", digest: sha256(fromText(content)) };
}

Deno.test("content addresses are read and written", () => {
  for (
    const [written, method, algorithm, hex] of [
      [
        "fixed:r:sha1:1ak1ymbmsfx7z8kh09jzkr3a4dvkrfjw",
        "nar",
        "sha1",
        "5cba3c77236ae4f9650270a27fbad375551fa60a",
      ],
      [
        "text:sha256:0fcxdvyzxr09shcbcxkv7l1b356dqxzp3ja68rhrg4yhbqarrkm5",
        "text",
        "sha256",
        "a5ce9c155ed09397614646c9717fc7cd94b1023d7b76b618d409e4fefd6e9d39",
      ],
      ["fixed:md5:1z0xcx93rdhqykj2s4jy44m1y4", "flat", "md5", "c4874a8897440b393d862d8fd459073f"],
    ]
  ) {
    const ca = parseContentAddress(written);
    assert.deepEqual([ca.method, ca.algorithm, toHex(ca.digest)], [method, algorithm, hex]);
    assert.equal(formatContentAddress(ca), written);
    const prefix = written.slice(0, written.lastIndexOf(":") + 1);
    assert.deepEqual(parseContentAddress(prefix + hex), ca);
  }
  assert.deepEqual(
    parseContentAddress("fixed:md5:xIdKiJdECzk9hi2P1FkHPw=="),
    parseContentAddress("fixed:md5-xIdKiJdECzk9hi2P1FkHPw=="),
  );
});

Deno.test("what is no content address is refused", () => {
  for (
    const bad of [
      "",
      "fixed",
      "fixed:",
      "fixed:r:",
      "fixed:r:sha256:",
      "r:sha256:0fcxdvyzxr09shcbcxkv7l1b356dqxzp3ja68rhrg4yhbqarrkm5",
      "sha256:0fcxdvyzxr09shcbcxkv7l1b356dqxzp3ja68rhrg4yhbqarrkm5",
      "text:r:sha256:0fcxdvyzxr09shcbcxkv7l1b356dqxzp3ja68rhrg4yhbqarrkm5",
      "text:sha1:mj1l54np5ii9al6g2cjb02n3jxwpf5k0",
      "fixed:git:sha1:mj1l54np5ii9al6g2cjb02n3jxwpf5k0",
      "fixed:sha256:mj1l54np5ii9al6g2cjb02n3jxwpf5k0",
      "fixed:r:sha1:1ak1ymbmsfx7z8kh09jzkr3a4dvkrfjw\n",
    ]
  ) {
    assert.throws(() => parseContentAddress(bad), FormatError, bad);
  }
});

Deno.test("text: toFile's paths", () => {
  const foo = contentAddressedPath({ name: "foo", ca: text("bar") });
  assert.equal(storePathBase(foo), "vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo");
  const baz = contentAddressedPath({ name: "baz", ca: text(formatStorePath(foo)), references: [foo] });
  assert.equal(storePathBase(baz), "5xd714cbfnkz02h2vbsj4fm03x3f15nf-baz");
});

Deno.test("nar with another hash than SHA-256", () => {
  const digest = fromHex("0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33");
  const path = contentAddressedPath({ name: "bar", ca: { method: "nar", algorithm: "sha1", digest } });
  assert.equal(storePathBase(path), "mp57d33657rf34lzvlbpfa1gjfv5gmpg-bar");
});

Deno.test("nar with SHA-256: sources, with and without references", () => {
  for (
    const [nar, expected] of [
      ["1wcwacrb5q36hpsx1shk0dkm26hwbmqmgi0nm973h9jqkdz3jz89", "y7j0h1s346m08pya3s42nhmx0j0mqidh-foo"],
      ["0h40zg6hakjv951nyhdad7mv9za56m3za5gnpiw5s1hbwcxzdrq3", "bppn0r6splkj24pphgcaqj4l44gsbqs3-foo"],
      ["06li2smqgskxxr291x1cgzf61rzm7c8f93bisnglq0nzm1wj5mgb", "bwrpi2jjp97ik4h6im8rpr0v421ac87x-foo"],
    ]
  ) {
    const ca: ContentAddress = { method: "nar", algorithm: "sha256", digest: fromNixBase32(nar) };
    assert.equal(storePathBase(contentAddressedPath({ name: "foo", ca })), expected);
  }
  const ca = parseContentAddress("fixed:r:sha256:1xqkzcb3909fp07qngljr4wcdnrh1gdam1m2n29i6hhrxlmkgkv1");
  const references = [parseStorePathBase("dxwkwjzdaq7ka55pkk252gh32bgpmql4-foo")];
  const path = contentAddressedPath({ name: "baz", ca, references });
  assert.equal(storePathBase(path), "s89y431zzhmdn3k8r96rvakryddkpv2v-baz");
});

Deno.test("references count as a set; oneself, the store directory and the name count too", () => {
  const ca = parseContentAddress("fixed:r:sha256:1xqkzcb3909fp07qngljr4wcdnrh1gdam1m2n29i6hhrxlmkgkv1");
  const a = parseStorePathBase("dxwkwjzdaq7ka55pkk252gh32bgpmql4-foo");
  const b = parseStorePathBase("vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo");
  const plain = contentAddressedPath({ name: "baz", ca, references: [a, b] });
  assert.deepEqual(contentAddressedPath({ name: "baz", ca, references: [b, a, b] }), plain);
  const others = [
    contentAddressedPath({ name: "baz", ca, references: [a, b], selfReference: true }),
    contentAddressedPath({ name: "baz", ca, references: [a, b], storeDir: "/opt/store" }),
    contentAddressedPath({ name: "bar", ca, references: [a, b] }),
  ];
  assert.equal(new Set([plain, ...others].map((path) => path.hashPart)).size, 4);
});

Deno.test("what Nix cannot name is refused", () => {
  const references = [parseStorePathBase("dxwkwjzdaq7ka55pkk252gh32bgpmql4-foo")];
  const flat = parseContentAddress("fixed:sha256:1xqkzcb3909fp07qngljr4wcdnrh1gdam1m2n29i6hhrxlmkgkv1");
  const sha1 = parseContentAddress("fixed:r:sha1:mj1l54np5ii9al6g2cjb02n3jxwpf5k0");
  assert.throws(() => contentAddressedPath({ name: "a", ca: flat, references }), FormatError);
  assert.throws(() => contentAddressedPath({ name: "a", ca: sha1, references }), FormatError);
  for (const ca of [flat, sha1, text("")]) {
    assert.throws(() => contentAddressedPath({ name: "a", ca, selfReference: true }), FormatError);
  }
  assert.throws(() => contentAddressedPath({ name: "a/b", ca: flat }), FormatError);
  assert.throws(() => contentAddressedPath({ name: "a", ca: { ...sha1, method: "text" } }), FormatError);
});

Deno.test("paths as nix-store --print-fixed-path and nix store make-content-addressed give them", () => {
  const sha512 =
    "sha512:3pkk3rbx4hls4lzwf4hfavvf9w0zgmr0prsb2l47471c850f5lzsqhnq8qv98wrxssdpxwmdvlm4cmh20yx25bqp95pgw216nzd0h5b";
  for (
    const [ca, expected] of [
      [
        "fixed:sha256:1xqkzcb3909fp07qngljr4wcdnrh1gdam1m2n29i6hhrxlmkgkv1",
        "0rlw72qahyda1lfaprxb05ymzi9fdw11-flat-file",
      ],
      ["fixed:md5:1z0xcx93rdhqykj2s4jy44m1y4", "cbzlkhxabsvm74z8kzjk1wcb59yjx9jc-flat-file"],
      ["fixed:" + sha512, "b1gv723dqhn5v4nwb37k0bxb1v3x2izy-flat-file"],
      ["fixed:r:" + sha512, "x9slzslh1cz3ahd3hz2dq0nvlslw6bwf-tree"],
    ]
  ) {
    const { name } = parseStorePathBase(expected);
    assert.equal(storePathBase(contentAddressedPath({ name, ca: parseContentAddress(ca) })), expected);
  }
  const self = contentAddressedPath({
    name: "selfref",
    ca: parseContentAddress("fixed:r:sha256:18b8w2ynikbp5645rhni9j6zz5w46ykrwi732f409iva1ndv491m"),
    references: [parseStorePathBase("98j66j1cyayff195p5s85kqfmn4m3yfr-dep")],
    selfReference: true,
    storeDir: "/opt/store",
  });
  assert.equal(storePathBase(self), "g2a3dxz5lc0ycd52fq532p4gkn1nia5n-selfref");
});
