// Vectors: nix-compat src/narinfo; the deterministic signature was computed with another implementation of Ed25519.
import assert from "node:assert/strict";
import { fromNixBase32 } from "../../src/bytes/nixbase32.ts";
import { FormatError } from "../../src/errors.ts";
import { fingerprint, fingerprints } from "../../src/nix/fingerprint.ts";
import {
  formatPublicKey,
  formatSignature,
  parsePublicKey,
  parseSecretKey,
  parseSignature,
  sign,
  verify,
} from "../../src/nix/signature.ts";
import { parseStorePath, parseStorePathBase } from "../../src/nix/store_path.ts";

const FINGERPRINT =
  "1;/nix/store/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin;sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0;196040;/nix/store/0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0,/nix/store/6w8g7njm4mck5dmjxws0z1xnrxvl81xa-glibc-2.34-115,/nix/store/j5jxw3iy7bbz4a57fh9g2xm2gxmyal8h-zlib-1.2.12,/nix/store/yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n";
const CACHE_KEY = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
const CACHE_SIGNATURE =
  "cache.nixos.org-1:TsTTb3WGTZKphvYdBHXwo6weVILmTytUjLB+vcX89fOjjRicCHmKA4RCPMVLkj6TMJ4GMX3HPVWRdD1hkeKZBQ==";
const TEST_KEY = "test1:tLAEn+EeaBUJYqEpTd2yeerr7Ic6+0vWe+aXL/vYUpE=";
const TEST_SIGNATURE =
  "test1:519iiVLx/c4Rdt5DNt6Y2Jm6hcWE9+XY69ygiWSZCNGVcmOcyL64uVAJ3cV8vaTusIZdbTnYo9Y7vDNeTmmMBQ==";
/** Published in a test suite, so nobody's secret. */
const SECRET =
  "do.not.use:sGPzxuK5WvWPraytx+6sjtaff866sYlfvErE6x0hFEhy5eqe7OVZ8ZMqZ/ME/HaRdKGNGvJkyGKXYTaeA6lR3A==";
const [DIGITS] = FINGERPRINT.split("sha256:")[1].split(";");

Deno.test("fingerprint: what cache.nixos.org signs", () => {
  const references = FINGERPRINT.split(";")[4].split(",").map((path) => parseStorePath(path));
  const signed = {
    storePath: parseStorePathBase("syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin"),
    narHash: fromNixBase32(DIGITS),
    narSize: 196040,
    references,
  };
  assert.equal(fingerprint(signed), FINGERPRINT);
  assert.deepEqual(fingerprints(signed), [FINGERPRINT]);
  const unsorted = { ...signed, references: [...references].reverse() };
  assert.equal(fingerprint(unsorted), FINGERPRINT);
  assert.equal(fingerprints(unsorted)[0], FINGERPRINT);
  assert.ok(
    fingerprints(unsorted)[1].endsWith(
      "-glibc-2.34-115,/nix/store/0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0",
    ),
  );
  assert.equal(fingerprint({ ...signed, references: [...references, references[2]] }), FINGERPRINT);
  assert.equal(
    fingerprint({ ...signed, references: [] }, "/opt/store"),
    `1;/opt/store/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin;sha256:${DIGITS};196040;`,
  );
});

Deno.test("real signatures verify, by the key of their name", async () => {
  const keys = [parsePublicKey(TEST_KEY), parsePublicKey(CACHE_KEY)];
  assert.equal(await verify(keys, FINGERPRINT, parseSignature(CACHE_SIGNATURE)), true);
  assert.equal(await verify(keys, FINGERPRINT, parseSignature(TEST_SIGNATURE)), true);
  assert.equal(await verify([keys[1]], FINGERPRINT, parseSignature(TEST_SIGNATURE)), false);
  assert.equal(await verify([], FINGERPRINT, parseSignature(TEST_SIGNATURE)), false);
  const sameName = { ...keys[0], name: "cache.nixos.org-1" };
  assert.equal(await verify([sameName], FINGERPRINT, parseSignature(CACHE_SIGNATURE)), false);
  assert.equal(await verify([sameName, keys[1]], FINGERPRINT, parseSignature(CACHE_SIGNATURE)), true);
});

Deno.test("another text, another signature or another name does not verify", async () => {
  const key = parsePublicKey(CACHE_KEY);
  const signature = parseSignature(CACHE_SIGNATURE);
  assert.equal(await verify([key], FINGERPRINT.slice(0, 5), signature), false);
  const corrupted =
    "cache.nixos.org-1:TsTTb000000000000000000000000ytUjLB+vcX89fOjjRicCHmKA4RCPMVLkj6TMJ4GMX3HPVWRdD1hkeKZBQ==";
  assert.equal(await verify([key], FINGERPRINT, parseSignature(corrupted)), false);
  assert.equal(await verify([key], FINGERPRINT, { ...signature, name: "cache.nixos.org" }), false);
});

Deno.test("signatures are read and written; any name without white space will do", () => {
  for (const text of [CACHE_SIGNATURE, CACHE_SIGNATURE.replace("cache.nixos.org-1", "my_cache/é@x")]) {
    assert.equal(formatSignature(parseSignature(text)), text);
  }
  const [, base64] = CACHE_SIGNATURE.split(":");
  const bad = [
    "cache.nixos.org-1:o1DTsjCz0PofLJ216P2RBuSulI8BAb6zHxWE4N+tzlcELk5Uk/GO2SCxWTRN5wJutLZZ+cHTMdWqOHF8",
    `test\n:${base64}`,
    `test :${base64}`,
    `:${base64}`,
    base64,
    `a:b:${base64}`,
    `a: ${base64}`,
    `a:${base64} `,
    `a:${base64.replace("==", "")}`,
    `a:${base64.replace("BQ==", "BR==")}`,
    "",
  ];
  for (const text of bad) assert.throws(() => parseSignature(text), FormatError, text);
});

Deno.test("what could not be read again is not written", () => {
  const data = parseSignature(CACHE_SIGNATURE).data;
  for (const name of ["", "a:b", "a b", "a\nURL: x"]) {
    assert.throws(() => formatSignature({ name, data }), FormatError);
  }
  assert.throws(() => formatSignature({ name: "a", data: data.slice(1) }), FormatError);
  assert.throws(() => formatPublicKey({ name: "a", data }), FormatError);
});

Deno.test("public keys are read and written", () => {
  assert.equal(formatPublicKey(parsePublicKey(` ${CACHE_KEY}\n`)), CACHE_KEY);
  const bad = [
    "6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
    "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY",
    "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDS",
    `${CACHE_KEY} ${TEST_KEY}`,
  ];
  for (const text of bad) assert.throws(() => parsePublicKey(text), FormatError, text);
});

Deno.test("a known key gives the known signature", async () => {
  const key = await parseSecretKey(SECRET + "\n");
  assert.equal(formatPublicKey(key.publicKey), "do.not.use:cuXqnuzlWfGTKmfzBPx2kXShjRryZMhil2E2ngOpUdw=");
  const path = `/nix/store/${"0".repeat(32)}-dummy`;
  const text = `1;${path};sha256:${"0".repeat(52)};0;${path}`;
  const signature = await sign(key, text);
  assert.equal(
    formatSignature(signature),
    "do.not.use:xl4q2L5wQMou13ZQ9/YPqK1z/DSIYycTtndVNfp2ybT8Cpg+yPv1sCQN8VVWppnq5BXTuMhjaq7K/ebYN4LYBg==",
  );
});

Deno.test("what is signed verifies; with any bit changed it does not", async () => {
  const key = await parseSecretKey(SECRET);
  for (const text of ["", "x", FINGERPRINT, "é\u{1f9ca}"]) {
    const signature = await sign(key, text);
    assert.equal(await verify([key.publicKey], text, signature), true);
    assert.equal(await verify([key.publicKey], text + " ", signature), false);
    for (let bit = 0; bit < 512; bit += 7) {
      const data = signature.data.slice();
      data[bit >> 3] ^= 1 << (bit & 7);
      assert.equal(await verify([key.publicKey], text, { name: signature.name, data }), false, `bit ${bit}`);
    }
  }
});

Deno.test("a broken secret key is refused without being told to anybody", async () => {
  const [name, base64] = SECRET.split(":");
  const [, otherPublic] = TEST_KEY.split(":");
  const mixed = new Uint8Array([
    ...Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).subarray(0, 32),
    ...Uint8Array.from(atob(otherPublic), (c) => c.charCodeAt(0)),
  ]);
  const bad = [
    "",
    name,
    base64,
    name + base64,
    SECRET.slice(0, -3),
    SECRET.slice(0, -2),
    SECRET.replace("sGPz", "sGP!"),
    SECRET.replace("do.not.use", "do not use"),
    `${name}:${btoa(String.fromCharCode(...mixed))}`,
  ];
  for (const text of bad) {
    const fault = await parseSecretKey(text).then(() => undefined, (error) => error);
    assert.ok(fault instanceof FormatError, text);
    assert.equal(fault.cause, undefined);
    assert.ok(!/xuK5W|7OVZ|sGP/.test(fault.message + fault.stack), "the error tells the key");
  }
});

Deno.test("a secret key cannot be exported once read", async () => {
  const { key } = await parseSecretKey(SECRET);
  assert.equal(key.extractable, false);
  await assert.rejects(crypto.subtle.exportKey("pkcs8", key));
});
