/** Base64, hexadecimal, UTF-8, order, names: against literal values, and everything that must be refused. */
import assert from "node:assert/strict";
import { fromBase64, fromBase64Url, toBase64, toBase64Url } from "../../src/bytes/base64.ts";
import { type Bytes, compare, concat, equals, fromText, toText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { nameFault, quoteName, targetFault } from "../../src/bytes/names.ts";
import { FormatError } from "../../src/errors.ts";

const bytes = (...values: number[]): Bytes => Uint8Array.from(values);

Deno.test("base64: the vectors of RFC 4648, both ways", () => {
  const vectors = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
  for (const [length, text] of vectors.entries()) {
    const value = fromText("foobar".slice(0, length));
    assert.equal(toBase64(value), text);
    assert.deepEqual(fromBase64(text), value);
    assert.equal(toBase64Url(value), text.replace(/=+$/, ""));
    assert.deepEqual(fromBase64Url(text.replace(/=+$/, "")), value);
  }
  assert.equal(toBase64(bytes(0xfb, 0xff, 0xfe)), "+//+");
  assert.equal(toBase64Url(bytes(0xfb, 0xff, 0xfe)), "-__-");
  assert.deepEqual(fromBase64Url("-__-"), bytes(0xfb, 0xff, 0xfe));
  const long = new Uint8Array(100_000).map((_, i) => i * 7);
  assert.ok(equals(fromBase64(toBase64(long)), long));
});

Deno.test("base64: anything but the one text of a value is refused", () => {
  for (
    const text of [
      "Zg",
      "Zg=",
      "Zg===",
      "Zh==",
      "Zm9=",
      "Zm9v\n",
      " Zm9v",
      "Zm9v=",
      "-__-",
      "Zm 9v",
      "Z",
      "=",
    ]
  ) {
    assert.throws(() => fromBase64(text), FormatError, text);
  }
  for (const text of ["Zg==", "Zh", "+//+", "Z", "Zm9v\n", "Zm8="]) {
    assert.throws(() => fromBase64Url(text), FormatError, text);
  }
});

Deno.test("hex: lower case is written, either is read, all else is refused", () => {
  assert.equal(toHex(bytes(0, 1, 0x7f, 0x80, 0xab, 0xff)), "00017f80abff");
  assert.deepEqual(fromHex("00017F80aBff"), bytes(0, 1, 0x7f, 0x80, 0xab, 0xff));
  assert.deepEqual(fromHex(""), bytes());
  for (const text of ["0", "0g", "0x00", " 00", "00\n", "00 ", "-1"]) {
    assert.throws(() => fromHex(text), FormatError, text);
  }
});

Deno.test("bytes: UTF-8 is strict, and a byte order mark is kept", () => {
  assert.equal(toText(bytes(0xef, 0xbb, 0xbf, 0x61)), "\ufeffa");
  for (const wrong of [bytes(0xff), bytes(0xc0, 0x80), bytes(0xed, 0xa0, 0x80), bytes(0xe2, 0x82)]) {
    assert.throws(() => toText(wrong), TypeError);
  }
});

Deno.test("bytes: order is that of unsigned bytes, a prefix first", () => {
  const sorted = ["", "00", "0000", "01", "61", "6100", "7f", "80", "ff", "ff00"].map(fromHex);
  for (const [i, a] of sorted.entries()) {
    for (const [j, b] of sorted.entries()) {
      assert.equal(Math.sign(compare(a, b)), Math.sign(i - j));
      assert.equal(equals(a, b), i === j);
    }
  }
  assert.deepEqual(concat([]), bytes());
  assert.deepEqual(concat([bytes(1), bytes(), bytes(9, 2, 3).subarray(1)]), bytes(1, 2, 3));
});

Deno.test("names: the rules of names and targets", () => {
  const filled = (length: number) => new Uint8Array(length).fill(0x61);
  for (const lawful of ["a", "...", ".a", "a.", " ", "\\", "~", "\x01"]) {
    assert.equal(nameFault(fromText(lawful)), undefined);
  }
  assert.equal(nameFault(filled(255)), undefined);
  assert.equal(nameFault(fromHex("ff")), undefined);
  for (
    const [name, why] of [["", /empty/], [".", /\. or/], ["..", /\. or/], ["a/b", /slash/], [
      "a\0",
      /NUL/,
    ]] as const
  ) {
    assert.match(nameFault(fromText(name))!, why);
  }
  assert.match(nameFault(filled(256))!, /256/);
  for (const lawful of ["/", "..", "a/b", "\xff"]) assert.equal(targetFault(fromText(lawful)), undefined);
  assert.equal(targetFault(filled(4095)), undefined);
  assert.match(targetFault(filled(4096))!, /4096/);
  assert.match(targetFault(fromText(""))!, /empty/);
  assert.match(targetFault(fromText("a\0b"))!, /NUL/);
  assert.equal(quoteName(fromHex("61225c0aff")), '"a\\"\\\\\\x0a\\xff"');
});
