// Vectors: nix-compat src/nixbase32.rs, cross-checked with `nix-hash`.
import assert from "node:assert/strict";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { fromNixBase32, toNixBase32 } from "../../src/bytes/nixbase32.ts";
import { FormatError } from "../../src/errors.ts";

const VECTORS = [
  ["", ""],
  ["0z", "1f"],
  ["00bgd045z0d4icpbc2yyz4gx48ak44la", "8a12321522fd91efbd60ebb2481af88580f61600"],
  [
    "0c5b8vw40dy178xlpddw65q9gf1h2186jcc3p4swinwggbllv8mk",
    "b3a24de97a8fdbc835b9833169501030b8977031bcb54b3b3ac13740f846ab30",
  ],
  [
    "1wcwacrb5q36hpsx1shk0dkm26hwbmqmgi0nm973h9jqkdz3jz89",
    "097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1",
  ],
];

Deno.test("nixbase32 agrees with other implementations both ways", () => {
  for (const [text, hex] of VECTORS) {
    assert.equal(toNixBase32(fromHex(hex)), text);
    assert.equal(toHex(fromNixBase32(text)), hex);
  }
});

Deno.test("nixbase32 writes views, not what lies around them", () => {
  const around = fromHex("ff8a12321522fd91efbd60ebb2481af88580f61600ff");
  assert.equal(toNixBase32(around.subarray(1, 21)), VECTORS[2][0]);
});

Deno.test("nixbase32 refuses set bits beyond the last byte, impossible lengths and other characters", () => {
  const bad = [
    "zz",
    "c0",
    "0",
    "0zz",
    "0Z",
    "0e",
    "0o",
    "0t",
    "0u",
    "0-",
    " 0",
    "0é",
    "\u{1f9ca}",
    "0\u0130",
  ];
  for (const text of bad) assert.throws(() => fromNixBase32(text), FormatError, text);
});

Deno.test("nixbase32 has one text for each value of any length", () => {
  for (let length = 0; length < 70; length++) {
    for (const fill of [0x00, 0x01, 0x80, 0xa5, 0xff]) {
      const bytes = new Uint8Array(length).fill(fill);
      const text = toNixBase32(bytes);
      assert.equal(text.length, Math.ceil(length * 8 / 5));
      assert.deepEqual(fromNixBase32(text), bytes);
    }
  }
});

Deno.test("nixbase32 reads no text that it would not write", () => {
  for (const first of "0123456789abcdfghijklmnpqrsvwxyz") {
    for (const second of "0123456789abcdfghijklmnpqrsvwxyz") {
      const text = first + second;
      let bytes;
      try {
        bytes = fromNixBase32(text);
      } catch {
        continue;
      }
      assert.equal(toNixBase32(bytes), text);
    }
  }
});
