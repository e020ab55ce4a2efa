/**
 * The record of a pressed NAR, against bytes put together here from the written rule with another BLAKE3: a store written
 * once is read for ever, so none of this may change.
 */
import assert from "node:assert/strict";
import { createBLAKE3 } from "hash-wasm";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { fromHex } from "../../src/bytes/hex.ts";
import { DamageError } from "../../src/errors.ts";
import { ChunkRows, pressedName, PressedNar } from "../../src/store/pressed_nar.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";

const hasher = await createBLAKE3();
const blake3 = (bytes: Uint8Array): Bytes => hasher.init().update(bytes).digest("binary") as Bytes;
const u32 = (value: number): Bytes =>
  Uint8Array.of(value & 255, value >> 8 & 255, value >> 16 & 255, value >>> 24);
const ONE = new Uint8Array(32).fill(0x11), TWO = new Uint8Array(32).fill(0x22);
const SHA = new Uint8Array(32).fill(0x33);

function record(fileSize: number): Bytes {
  const body = concat([
    ...[Uint8Array.of(1), u32(fileSize), u32(0), SHA],
    ...[ONE, u32(0x10203), u32(700), TWO, u32(5), u32(17)],
  ]);
  return concat([body, blake3(body).subarray(0, 16)]);
}

Deno.test("pressed NAR: a record", () => {
  const rows = new ChunkRows();
  rows.add(0x10203, ONE);
  rows.setDigest(rows.add(5), TWO);
  rows.setLength(0, 700);
  rows.setLength(1, 17);
  sameBytes(rows.encode(717, SHA), record(717));
  for (const bytes of [record(717), concat([ONE, record(717)]).subarray(32)]) {
    const pressed = new PressedNar(bytes, "key");
    assert.deepEqual([pressed.count, pressed.fileSize, pressed.narSize], [2, 717, 0x10203 + 5]);
    sameBytes(pressed.sha256, SHA);
    sameBytes(pressed.digest(0), ONE);
    sameBytes(pressed.digest(1), TWO);
    assert.deepEqual([pressed.size(0), pressed.size(1)], [0x10203, 5]);
    assert.deepEqual([pressed.length(0), pressed.length(1)], [700, 17]);
    assert.deepEqual([0, 1, 2].map((row) => pressed.offset(row)), [0, 700, 717]);
    assert.deepEqual([0, 699, 700, 716].map((at) => pressed.rowAt(at)), [0, 0, 1, 1]);
  }
});

Deno.test("pressed NAR: rows by the thousand", () => {
  const rows = new ChunkRows();
  let fileSize = 0;
  for (let i = 0; i < 5000; i++) {
    rows.setLength(rows.add(i, blake3(u32(i))), 3 * i + 1);
    fileSize += 3 * i + 1;
  }
  const pressed = new PressedNar(rows.encode(fileSize, SHA), "key");
  assert.equal(pressed.count, 5000);
  for (const i of [0, 1, 63, 64, 4999]) {
    sameBytes(pressed.digest(i), blake3(u32(i)));
    assert.deepEqual([pressed.size(i), pressed.length(i)], [i, 3 * i + 1]);
    assert.equal(pressed.rowAt(pressed.offset(i)), i);
    assert.equal(pressed.rowAt(pressed.offset(i + 1) - 1), i);
  }
});

Deno.test("pressed NAR: any change of a record is a DamageError that names its key", () => {
  const isDamage = (error: unknown) => error instanceof DamageError && error.key === "pressed/x";
  const good = record(717);
  for (let at = 0; at < good.length; at++) {
    const damaged = good.slice();
    damaged[at] ^= 1 << at % 8;
    assert.throws(() => new PressedNar(damaged, "pressed/x"), isDamage);
  }
  for (let length = 0; length < good.length; length++) {
    assert.throws(() => new PressedNar(good.slice(0, length), "pressed/x"), isDamage);
  }
  assert.throws(() => new PressedNar(record(718), "pressed/x"), isDamage, "lengths that are not the file's");
});

Deno.test("pressed NAR: names", () => {
  const digest = fromHex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
  const of = (kind: number, executable: number, rest: Bytes) =>
    blake3(concat([Uint8Array.of(kind, executable), rest]));
  sameBytes(pressedName({ type: "directory", digest, size: 4n }), of(1, 0, digest));
  sameBytes(pressedName({ type: "file", digest, size: 12, executable: false }), of(2, 0, digest));
  sameBytes(pressedName({ type: "file", digest, size: 12, executable: true }), of(2, 1, digest));
  sameBytes(pressedName({ type: "symlink", target: fromText("a/b") }), of(3, 0, fromText("a/b")));
});
