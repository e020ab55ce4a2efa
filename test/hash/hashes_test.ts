/** The hashes of Nix's formats: known answers, and node:crypto as the second opinion. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { fromText } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { HASH_LENGTHS, type HashName } from "../../src/hash/hasher.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import { seeded, seededBytes } from "./_inputs.ts";

const NAMES = Object.keys(HASH_LENGTHS) as HashName[];
/** Of "abc": RFC 1321 and FIPS 180-4's examples. */
const ABC: Record<HashName, string> = {
  md5: "900150983cd24fb0d6963f7d28e17f72",
  sha1: "a9993e364706816aba3e25717850c26c9cd0d89d",
  sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  sha512: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
};

for (const [label, hashes] of Object.entries({ portable: portableHashes, native: nativeHashes })) {
  Deno.test(`${label}: known answers and lengths`, async () => {
    for (const name of NAMES) {
      const hasher = await hashes.create(name);
      hasher.update(fromText("a"));
      hasher.update(fromText("bc"));
      const digest = hasher.digest();
      assert.equal(digest.length, HASH_LENGTHS[name]);
      assert.equal(toHex(digest), ABC[name]);
    }
  });

  Deno.test(`${label}: hashers side by side`, async () => {
    const next = seeded(21);
    const bytes = seededBytes(200_000, 22);
    for (const name of NAMES) {
      const hashers = await Promise.all(Array.from({ length: 10 }, () => hashes.create(name)));
      const ends = hashers.map(() => 0);
      for (let round = 0; round < 100; round++) {
        const which = next(hashers.length), start = ends[which];
        ends[which] = Math.min(bytes.length, start + next(30_000));
        hashers[which].update(bytes.subarray(start, ends[which]));
      }
      hashers.forEach((hasher, which) => {
        const expected = createHash(name).update(bytes.subarray(0, ends[which])).digest("hex");
        assert.equal(toHex(hasher.digest()), expected, name);
      });
    }
  });
}

Deno.test("sha256 in one call", () => {
  const bytes = seededBytes(200_000, 23);
  for (const length of [0, 1, 55, 56, 63, 64, 65, 1000, 16_384, 16_385, 200_000]) {
    const input = bytes.subarray(bytes.length - length);
    assert.equal(toHex(sha256(input)), createHash("sha256").update(input).digest("hex"), `${length} bytes`);
  }
});
