/** URLs that carry a node: those other implementations write, and everything that must be refused. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { toBase64Url } from "../../src/bytes/base64.ts";
import { encodeEntry } from "../../src/castore/messages.ts";
import type { Node } from "../../src/castore/node.ts";
import { FormatError } from "../../src/errors.ts";
import { formatNarUrl, parseNarUrl } from "../../src/store/nar_url.ts";
import { A, BLOBS, COMPLICATED, COMPLICATED_SNIX } from "../contract/_castore_samples.ts";

const HELLO = { type: "file", digest: BLOBS[1].digest, size: 12 } as const;
const VECTORS: [Node, string][] = [
  [
    { type: "directory", digest: COMPLICATED.digest, size: 4n },
    "CiQSID-VGhWv1Yb7MSHvTRPVgugRzg5afyHASX_YdJDp4jVaGAQ",
  ],
  [
    { type: "directory", digest: COMPLICATED_SNIX.digest, size: 8n },
    "CiQSIEJKf2zgjYBdFbQoBi-q6WKZoWddcIw6OSYa_jjN0E_rGAg",
  ],
  [
    { type: "symlink", target: fromText("/nix/store/somewhereelse") },
    "GhoSGC9uaXgvc3RvcmUvc29tZXdoZXJlZWxzZQ",
  ],
  [{ ...HELLO, executable: false }, "EiQSIFyngVrctITpoTbBHv5pwdUwF21Um10Y0DjrUoC0s0cMGAw"],
  [{ ...HELLO, executable: true }, "EiYSIFyngVrctITpoTbBHv5pwdUwF21Um10Y0DjrUoC0s0cMGAwgAQ"],
  [{ type: "directory", digest: A.digest, size: 0n }, "CiISIK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi"],
];
const [, LINK] = VECTORS[2];

Deno.test("nar url: those other implementations write, both ways", () => {
  for (const [node, text] of VECTORS) {
    assert.equal(formatNarUrl(node, 136), `nar/snix-castore/${text}?narsize=136`);
    for (const kind of ["snix", "tvix"]) {
      const form = "none";
      assert.deepEqual(parseNarUrl(`nar/${kind}-castore/${text}?narsize=136`), { node, narSize: 136, form });
      assert.deepEqual(parseNarUrl(`nar/${kind}-castore/${text}`), { node, narSize: undefined, form });
    }
  }
});

Deno.test("nar url: of the pressed NAR", () => {
  for (const [node, text] of VECTORS) {
    assert.equal(formatNarUrl(node, 136, "zstd"), `nar/snix-castore/${text}.nar.zst?narsize=136`);
    for (const kind of ["snix", "tvix"]) {
      assert.deepEqual(parseNarUrl(`nar/${kind}-castore/${text}.nar.zst?narsize=136`), {
        node,
        narSize: 136,
        form: "zstd",
      });
    }
  }
});

Deno.test("nar url: sizes, and other parameters beside them", () => {
  const sizeOf = (query: string) => parseNarUrl(`nar/snix-castore/${LINK}?${query}`)?.narSize;
  assert.equal(sizeOf("narsize=0"), 0);
  assert.equal(sizeOf("narsize=9007199254740991"), Number.MAX_SAFE_INTEGER);
  assert.equal(sizeOf("a=b&narsize=7&c"), 7);
  assert.equal(sizeOf(""), undefined);
  for (const wrong of ["-1", "", "1.5", "0x10", "1e3", "01", " 1", "1+", "99999999999999999"]) {
    assert.throws(() => sizeOf(`narsize=${wrong}`), FormatError, wrong);
  }
});

Deno.test("nar url: other URLs are not of this kind", () => {
  for (
    const url of ["", "nar/x.nar", "nar/castore/" + LINK, "/nar/snix-castore/" + LINK, "snix-castore/" + LINK]
  ) {
    assert.equal(parseNarUrl(url), undefined, url);
  }
});

Deno.test("nar url: broken ones are a FormatError", () => {
  const named = toBase64Url(encodeEntry({ type: "symlink", target: fromText("t") }, fromText("name")));
  const long = toBase64Url(new Uint8Array(10_000));
  for (
    const text of ["", "!", LINK + "=", LINK.slice(0, -2), LINK + "/x", LINK + "AAAA", named, long, "AAAA"]
      .concat([".nar.zst", LINK + ".nar", LINK + ".nar.xz", LINK + ".nar.zst.nar.zst", named + ".nar.zst"])
  ) {
    assert.throws(() => parseNarUrl(`nar/snix-castore/${text}`), FormatError, text.slice(0, 60));
  }
});

Deno.test("nar url: a narsize over 2^53 - 1 is a FormatError", () => {
  assert.throws(() => parseNarUrl(`nar/snix-castore/${LINK}?narsize=9007199254740993`), FormatError);
});

Deno.test("nar url: the longest symlink fits", () => {
  const node: Node = { type: "symlink", target: new Uint8Array(4095).fill(0x61) };
  assert.deepEqual(parseNarUrl(formatNarUrl(node, 5)), { node, narSize: 5, form: "none" });
});
