// Vectors: nix-compat src/nixhash/mod.rs, most of them also given by `nix-hash`.
import assert from "node:assert/strict";
import { toHex } from "../../src/bytes/hex.ts";
import { FormatError } from "../../src/errors.ts";
import type { HashName } from "../../src/hash/hasher.ts";
import { formatNixHash, formatSri, parseHash } from "../../src/nix/hash_text.ts";

/** One digest of each algorithm: hexadecimal, base64, nixbase32. */
const DIGESTS: [HashName, string, string, string][] = [
  ["md5", "c4874a8897440b393d862d8fd459073f", "xIdKiJdECzk9hi2P1FkHPw==", "1z0xcx93rdhqykj2s4jy44m1y4"],
  [
    "sha1",
    "6016777997c30ab02413cf5095622cd7924283ac",
    "YBZ3eZfDCrAkE89QlWIs15JCg6w=",
    "mj1l54np5ii9al6g2cjb02n3jxwpf5k0",
  ],
  [
    "sha256",
    "a5ce9c155ed09397614646c9717fc7cd94b1023d7b76b618d409e4fefd6e9d39",
    "pc6cFV7Qk5dhRkbJcX/HzZSxAj17drYY1Ank/v1unTk=",
    "0fcxdvyzxr09shcbcxkv7l1b356dqxzp3ja68rhrg4yhbqarrkm5",
  ],
  [
    "sha512",
    "ab40d0be3541f0774bba7815d13d10b03252e96e95f7dbb4ee99a3b431c21662" +
    "fd6971a020160e39848aa5f305b9be0f78727b2b0789e39f124d21e92b8f39ef",
    "q0DQvjVB8HdLungV0T0QsDJS6W6V99u07pmjtDHCFmL9aXGgIBYOOYSKpfMFub4PeHJ7KweJ458STSHpK4857w==",
    "3pkk3rbx4hls4lzwf4hfavvf9w0zgmr0prsb2l47471c850f5lzsqhnq8qv98wrxssdpxwmdvlm4cmh20yx25bqp95pgw216nzd0h5b",
  ],
];

Deno.test("hashes are read in every encoding, and written in two", () => {
  for (const [algorithm, hex, base64, nix] of DIGESTS) {
    for (const bare of [hex, hex.toUpperCase(), base64, nix]) {
      const parsed = parseHash(`${algorithm}:${bare}`);
      assert.equal(parsed.algorithm, algorithm);
      assert.equal(toHex(parsed.digest), hex);
      assert.deepEqual(parseHash(`${algorithm}:${bare}`, algorithm), parsed);
      assert.deepEqual(parseHash(bare, algorithm), parsed);
      assert.throws(() => parseHash(bare), FormatError);
    }
    const sri = parseHash(`${algorithm}-${base64}`);
    assert.equal(toHex(sri.digest), hex);
    assert.equal(formatSri(algorithm, sri.digest), `${algorithm}-${base64}`);
    assert.equal(formatNixHash(algorithm, sri.digest), `${algorithm}:${nix}`);
  }
});

Deno.test("another algorithm than expected is refused", () => {
  assert.throws(() => parseHash("sha1-YBZ3eZfDCrAkE89QlWIs15JCg6w=", "md5"), FormatError);
  assert.throws(() => parseHash("sha1:YBZ3eZfDCrAkE89QlWIs15JCg6w=", "md5"), FormatError);
});

Deno.test("SRI padding is read loosely", () => {
  const base64 = "7g91TBvYoYQorRTqo+rYD/i5YnWvUBLnqDhPHxBJDaBW7smuPMeRp6E6JOFuVN9bzN0QnH1ToUU0u9c2CjALEQ";
  for (const padding of ["", "=", "==", "===", "== cheesecake"]) {
    assert.equal(
      toHex(parseHash(`sha512-${base64}${padding}`).digest),
      "ee0f754c1bd8a18428ad14eaa3ead80ff8b96275af5012e7a8384f1f10490da0" +
        "56eec9ae3cc791a7a13a24e16e54df5bccdd109c7d53a14534bbd7360a300b11",
    );
    if (padding !== "==") assert.throws(() => parseHash(base64 + padding, "sha512"), FormatError);
    if (padding !== "==") assert.throws(() => parseHash(`sha512:${base64}${padding}`), FormatError);
  }
  for (
    const [loose, hex] of [
      [
        "fgIr3TyFGDAXP5+qoAaiMKDg/a1MlT6Fv/S/DaA24S8",
        "7e022bdd3c851830173f9faaa006a230a0e0fdad4c953e85bff4bf0da036e12f",
      ],
      [
        "syceJMUEknBDCHK8eGs6rUU3IQn+HnQfURfCrDxYPa9=",
        "b3271e24c5049270430872bc786b3aad45372109fe1e741f5117c2ac3c583daf",
      ],
    ]
  ) {
    assert.equal(toHex(parseHash(`sha256-${loose}`).digest), hex);
    assert.equal(toHex(parseHash(`sha256-${loose}`, "sha256").digest), hex);
    assert.throws(() => parseHash(loose, "sha256"), FormatError);
  }
});

Deno.test("what is no hash is refused", () => {
  const [, , [, hex, base64, nix]] = DIGESTS;
  const bad = [
    "",
    "sha256",
    "sha256:",
    "sha256-",
    "sha256-pc6cFV7Qk5dhRkbJcX/HzZSxAj17drYY1Ank",
    "sha384-o4UVSl89mIB0sFUK+3jQbG+C9Zc9dRlV/Xd3KAvXEbhqxu0J5OAdg6b6VHKHwQ7U",
    "sha256-invalid=base64",
    `SHA256:${nix}`,
    `:${nix}`,
    `toString:${nix}`,
    `sha1:${nix}`,
    `sha256:${nix}0`,
    `sha256:${nix.slice(1)}`,
    `sha256: ${nix}`,
    `sha256:e${nix.slice(1)}`,
    `sha256:${hex.slice(1)}g`,
    `sha256:${base64.replace("/", "_")}`,
    `sha256-${base64.slice(0, -1)}A=`,
    `sha256-${nix}`,
  ];
  for (const text of bad) assert.throws(() => parseHash(text), FormatError, text);
});
