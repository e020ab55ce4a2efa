/** PathInfo to narinfo, and merging signatures. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { fromHex } from "../../src/bytes/hex.ts";
import { formatNarInfo, parseNarInfo } from "../../src/nix/nar_info.ts";
import { parseSignature } from "../../src/nix/signature.ts";
import { parseStorePath, parseStorePathBase } from "../../src/nix/store_path.ts";
import { mergeSignatures, type PathInfo, toNarInfo } from "../../src/store/path_info.ts";

const SIGNATURE = parseSignature(
  "cache.nixos.org-1:TsTTb3WGTZKphvYdBHXwo6weVILmTytUjLB+vcX89fOjjRicCHmKA4RCPMVLkj6TMJ4GMX3HPVWRdD1hkeKZBQ==",
);
const OTHER = parseSignature(
  "test1:519iiVLx/c4Rdt5DNt6Y2Jm6hcWE9+XY69ygiWSZCNGVcmOcyL64uVAJ3cV8vaTusIZdbTnYo9Y7vDNeTmmMBQ==",
);

const BARE: PathInfo = {
  storePath: parseStorePath("/nix/store/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin"),
  node: { type: "symlink", target: fromText("/elsewhere") },
  references: [],
  narSha256: fromHex("097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1"),
  narSize: 136,
  signatures: [],
  unclaimedReferences: ["00bgd045z0d4icpbc2yyz4gx48ak44la"],
  registeredAt: 1,
};

Deno.test("path info: toNarInfo of a bare path has no optional field", () => {
  const narInfo = toNarInfo(BARE, { url: "nar/x.nar", compression: "none" });
  assert.equal(
    formatNarInfo(narInfo),
    "StorePath: /nix/store/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin\n" +
      "URL: nar/x.nar\nCompression: none\n" +
      "NarHash: sha256:1wcwacrb5q36hpsx1shk0dkm26hwbmqmgi0nm973h9jqkdz3jz89\nNarSize: 136\nReferences: \n",
  );
  assert.deepEqual(parseNarInfo(formatNarInfo(narInfo)), narInfo);
});

Deno.test("path info: toNarInfo carries every field", () => {
  const info: PathInfo = {
    ...BARE,
    references: [
      parseStorePathBase("yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n"),
      parseStorePathBase("0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0"),
    ],
    deriver: parseStorePathBase("00bgd045z0d4icpbc2yyz4gx48ak44la-curl.drv"),
    signatures: [SIGNATURE],
    ca: { method: "nar", algorithm: "sha1", digest: fromHex("5cba3c77236ae4f9650270a27fbad375551fa60a") },
  };
  const fileHash = {
    algorithm: "sha256" as const,
    digest: fromHex("03e7f63be30b065d78bcf615f5473545fdb4eb69aa416f43495b4e05cdfb8040"),
  };
  const narInfo = toNarInfo(info, { url: "nar/x.nar.xz", compression: "xz", fileSize: 0, fileHash });
  assert.equal(
    formatNarInfo(narInfo),
    "StorePath: /nix/store/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin\n" +
      "URL: nar/x.nar.xz\nCompression: xz\n" +
      "FileHash: sha256:0h40zg6hakjv951nyhdad7mv9za56m3za5gnpiw5s1hbwcxzdrq3\nFileSize: 0\n" +
      "NarHash: sha256:1wcwacrb5q36hpsx1shk0dkm26hwbmqmgi0nm973h9jqkdz3jz89\nNarSize: 136\n" +
      "References: yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n " +
      "0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0\n" +
      "Deriver: 00bgd045z0d4icpbc2yyz4gx48ak44la-curl.drv\n" +
      "Sig: cache.nixos.org-1:" +
      "TsTTb3WGTZKphvYdBHXwo6weVILmTytUjLB+vcX89fOjjRicCHmKA4RCPMVLkj6TMJ4GMX3HPVWRdD1hkeKZBQ==\n" +
      "CA: fixed:r:sha1:1ak1ymbmsfx7z8kh09jzkr3a4dvkrfjw\n",
  );
});

Deno.test("path info: mergeSignatures keeps each name and data once, in the order met", () => {
  const copy = { name: SIGNATURE.name, data: SIGNATURE.data.slice() };
  const sameName = { name: SIGNATURE.name, data: OTHER.data };
  const sameData = { name: OTHER.name, data: SIGNATURE.data };
  assert.deepEqual(mergeSignatures([OTHER, SIGNATURE], [copy]), [OTHER, SIGNATURE]);
  assert.deepEqual(mergeSignatures([SIGNATURE], [OTHER, copy]), [SIGNATURE, OTHER]);
  assert.deepEqual(mergeSignatures([SIGNATURE, copy], []), [SIGNATURE]);
  assert.deepEqual(mergeSignatures([SIGNATURE], [sameName, sameData]), [SIGNATURE, sameName, sameData]);
  assert.deepEqual(mergeSignatures([], []), []);
});

Deno.test("path info: mergeSignatures changes neither list", () => {
  const a = [SIGNATURE];
  const b = [OTHER];
  mergeSignatures(a, b);
  assert.deepEqual([a, b], [[SIGNATURE], [OTHER]]);
});
