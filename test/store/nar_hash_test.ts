/** Hashes of what is stored: against published digests, and of archives that name themselves against another hasher. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import type { FileNode } from "../../src/castore/node.ts";
import { MissingError } from "../../src/errors.ts";
import { type HashName } from "../../src/hash/hasher.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { hashFile, hashNar, hashNarModulo, ModuloHasher } from "../../src/store/nar_hash.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { BLOBS } from "../contract/_castore_samples.ts";
import { vector } from "../nar/_nars.ts";
import { permissions, testNeeding } from "../needs.ts";
import { ingest, narOf, openStore, type Tree } from "./_trees.ts";

const test = testNeeding(permissions);

const HASH_PART = "00bgd045z0d4icpbc2yyz4gx48ak44la";

/** Digests of archives that other implementations publish. */
const DIGESTS: [string, HashName, string][] = [
  ["symlink", "sha1", "424eeaaa9cc016bab030bf007cb1be6483e7ba9e"],
  ["symlink", "md5", "2c4d191c4278997aed15c15d5fb8dc91"],
  ["symlink", "sha256", "097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1"],
  ["helloworld", "sha1", "dc5bf488f1b6eafda0ec0c0cb8b39a68b253bb62"],
  ["helloworld", "md5", "00d8bb856df42fa018713458ee68e37a"],
  ["complicated", "sha1", "47de7b79dd27fcac4e1202fe761d0890c1321e59"],
  ["complicated", "md5", "7fea5625aca92acc134595d75b8df49e"],
  [
    "complicated",
    "sha512",
    "1f5d43941411f35f09211f8596b426ee6e4dd3af1639e0ed2273cbe44b818fc4a59e3af02a057c5b18fbfcf435497de5f1994206c137f469b3df674966a922f0",
  ],
];

test("hashNar: the digests of other implementations", async () => {
  for (const [name, algorithm, want] of DIGESTS) {
    const nar = vector(`${name}.nar`);
    const store = openStore();
    const { node } = await ingest(store, nar);
    const { digest, size } = await hashNar(node, algorithm, store);
    assert.equal(toHex(digest), want, `${algorithm} of ${name}`);
    assert.equal(size, nar.length);
  }
});

Deno.test("hashFile: of a file's contents; one that is not stored is a MissingError", async () => {
  const store = openStore();
  const { bytes, digest } = BLOBS[1];
  const file: FileNode = { type: "file", digest, size: 12, executable: false };
  await assert.rejects(hashFile(file, "md5", store), MissingError);
  await store.blobs.put(bytes);
  assert.equal(toHex(await hashFile(file, "md5", store)), "ed076287532e86365e841e92bfc50d8c");
  const long = await store.blobs.put(pattern(3_000_000));
  const got = await hashFile({ ...file, ...long }, "sha512", store);
  assert.equal(toHex(got), createHash("sha512").update(pattern(3_000_000)).digest("hex"));
});

/** As the rule says: each occurrence as zeros, and after all of it `|` and the offset of each. */
function modulo(bytes: Bytes, algorithm: string): string {
  const text = Buffer.from(bytes).toString("latin1"); // a character a byte
  const offsets: number[] = [];
  for (let at = text.indexOf(HASH_PART); at >= 0; at = text.indexOf(HASH_PART, at + 32)) offsets.push(at);
  const blanked = Uint8Array.from(text.replaceAll(HASH_PART, "\0".repeat(32)), (c) => c.charCodeAt(0));
  return createHash(algorithm).update(blanked).update(offsets.map((at) => `|${at}`).join("")).digest("hex");
}

Deno.test("hashNarModulo: wherever the hash part stands", async () => {
  const self = `/nix/store/${HASH_PART}-self`;
  const trees: Tree[] = [
    { none: fromText("nothing") },
    { a: fromText(`#!${self}/bin/sh`), [`${HASH_PART}-in-a-name`]: self, z: fromText(HASH_PART + HASH_PART) },
    {
      a: concat([pattern(262_130), fromText(self), pattern(300_000), fromText(self)]),
      b: fromText(HASH_PART.slice(0, 31)),
    },
  ];
  for (const tree of trees) {
    const nar = await narOf(tree);
    const store = openStore();
    const { node } = await ingest(store, nar);
    for (const algorithm of ["sha256", "sha512"] as const) {
      assert.equal(toHex(await hashNarModulo(node, HASH_PART, algorithm, store)), modulo(nar, algorithm));
    }
  }
});

Deno.test("modulo hasher: in pieces of any length, and hash parts that nearly are", async () => {
  const texts = ["", "x", HASH_PART, `${HASH_PART}${HASH_PART}`, `0${HASH_PART}`, `00b${HASH_PART}00bgd`];
  texts.push(HASH_PART.slice(1), `${HASH_PART.slice(0, 20)}${HASH_PART}-a`, `a${HASH_PART}bc${HASH_PART}`);
  for (const text of texts) {
    const bytes = fromText(text);
    for (let length = 1; length <= bytes.length + 1; length++) {
      const hasher = new ModuloHasher(await portableHashes.create("sha256"), HASH_PART);
      for (let at = 0; at < bytes.length; at += length) {
        const piece = bytes.slice(at, at + length);
        hasher.update(piece);
        piece.fill(0x30); // the caller's to use again
      }
      assert.equal(toHex(hasher.digest()), modulo(bytes, "sha256"), `${text} in pieces of ${length}`);
    }
  }
});
