/** The table of digests, against a Set. */
import assert from "node:assert/strict";
import { DigestTable } from "../../src/castore/digest_table.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { pattern } from "../contract/_byte_store_samples.ts";

const digestOf = (i: number) => blake3(pattern(8, i));

Deno.test("digest table: each once, numbered as they came, past several growths and blocks", () => {
  const table = new DigestTable();
  const count = 100_000; // three blocks
  for (let i = 0; i < count; i++) {
    assert.equal(table.add(digestOf(i)), true);
    assert.equal(table.size, i + 1);
  }
  for (let i = 0; i < count; i += 7) {
    assert.equal(table.add(digestOf(i)), false);
    assert.equal(table.indexOf(digestOf(i)), i);
    assert.equal(table.has(digestOf(i)), true);
    assert.equal(table.has(digestOf(i + count)), false);
    assert.equal(table.indexOf(digestOf(i + count)), -1);
  }
  assert.equal(table.size, count);
});

Deno.test("digest table: digests that differ in one byte only are different", () => {
  const table = new DigestTable();
  table.add(new Uint8Array(32));
  for (let at = 0; at < 32; at++) {
    const digest = new Uint8Array(32);
    digest[at] = 1;
    assert.equal(table.has(digest), false);
    assert.equal(table.add(digest), true);
    digest[at] = 2; // the table has a copy
    assert.equal(table.has(digest), false);
  }
  assert.equal(table.size, 33);
});

Deno.test("digest table: what has not 32 bytes is a TypeError", () => {
  for (const length of [0, 31, 33]) {
    assert.throws(() => new DigestTable().add(new Uint8Array(length)), TypeError);
    assert.throws(() => new DigestTable().has(new Uint8Array(length)), TypeError);
  }
});
