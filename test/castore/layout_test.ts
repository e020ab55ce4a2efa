/**
 * The layout of the keys and the encodings under them, against bytes put together here from the written rule with
 * another BLAKE3: a store written once is read for ever, so none of this may change.
 */
import assert from "node:assert/strict";
import { createBLAKE3 } from "hash-wasm";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { fromHex } from "../../src/bytes/hex.ts";
import { MAX_VALUE_LENGTH } from "../../src/castore/byte_store.ts";
import {
  blobKey,
  chunkKey,
  COLLECTION_KEY,
  decodeChunkList,
  decodeOutboard,
  directoryKey,
  encodeChunkList,
  encodeOutboard,
  getLong,
  narKey,
  outboardKey,
  pathKey,
  piecesOf,
  pressedKey,
  putLong,
  revokedKey,
  rootKey,
  SIDE_FILES,
  uploadKey,
} from "../../src/castore/layout.ts";
import { DamageError } from "../../src/errors.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { WatchedStore } from "./_watched_store.ts";

const MIB = 1024 * 1024;
const hasher = await createBLAKE3();
const blake3 = (bytes: Uint8Array): Bytes => hasher.init().update(bytes).digest("binary") as Bytes;

/** An unsigned 32-bit number, little endian. */
const u32 = (value: number): Bytes =>
  Uint8Array.of(value & 255, value >> 8 & 255, value >> 16 & 255, value >>> 24);

const DIGEST = fromHex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
const HEX = "5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c";

Deno.test("layout: the keys", () => {
  assert.equal(chunkKey(DIGEST), "chunk/" + HEX);
  assert.equal(blobKey(DIGEST), "blob/" + HEX);
  assert.equal(outboardKey(DIGEST), "outboard/" + HEX);
  assert.equal(directoryKey(DIGEST), "dir/" + HEX);
  assert.equal(pressedKey(DIGEST), "pressed/" + HEX);
  assert.equal(pathKey("00bgd045z0d4icpbc2yyz4gx48ak44la"), "path/00bgd045z0d4icpbc2yyz4gx48ak44la");
  const nar = "1wcwacrb5q36hpsx1shk0dkm26hwbmqmgi0nm973h9jqkdz3jz89";
  assert.equal(narKey(nar), "nar/" + nar);
  assert.equal(uploadKey(nar + ".nar.xz"), "upload/" + nar + ".nar.xz");
  assert.equal(rootKey("profiles/web"), "root/profiles/web");
  assert.equal(revokedKey("0123abcd"), "revoked/0123abcd");
  assert.equal(COLLECTION_KEY, "collection");
  assert.deepEqual([...SIDE_FILES], ["log/", "realisations/", "build-trace-v2/", "debuginfo/"]);
});

Deno.test("layout: a chunk list", () => {
  const list = [{ digest: DIGEST, size: 524288 }, { digest: new Uint8Array(32).fill(7), size: 0x01020304 }];
  const body = concat([Uint8Array.of(1), DIGEST, u32(524288), list[1].digest, fromHex("04030201")]);
  const want = concat([body, blake3(body).subarray(0, 16)]);
  assert.equal(want.length, 89);
  sameBytes(encodeChunkList(list), want);
  assert.deepEqual(decodeChunkList(want, "key"), list);
  assert.deepEqual(decodeChunkList(concat([pattern(5), want]).subarray(5), "key"), list);
});

Deno.test("layout: any change of a chunk list is a DamageError that names its key", () => {
  const list = encodeChunkList([{ digest: DIGEST, size: 12 }]);
  for (let at = 0; at < list.length; at++) {
    const damaged = list.slice();
    damaged[at] ^= 1 << at % 8;
    assert.throws(() => decodeChunkList(damaged, "blob/x"), (error) => {
      return error instanceof DamageError && error.key === "blob/x";
    });
  }
  for (let length = 0; length < list.length; length++) {
    assert.throws(() => decodeChunkList(list.subarray(0, length), "blob/x"), DamageError);
  }
  assert.throws(() => decodeChunkList(concat([list, new Uint8Array(1)]), "blob/x"), DamageError);
});

Deno.test("layout: an outboard is 0x01, 0x04 and its parents", () => {
  for (const length of [0, 64, 4032]) {
    const want = concat([fromHex("0104"), pattern(length)]);
    sameBytes(encodeOutboard(pattern(length)), want);
    sameBytes(decodeOutboard(want, "key"), pattern(length));
  }
});

Deno.test("layout: what is no outboard, or one of other groups, is a DamageError that names its key", () => {
  for (const wrong of ["", "01", "0004", "0204", "0103", "0105"]) {
    assert.throws(() => decodeOutboard(fromHex(wrong), "outboard/x"), {
      name: "DamageError",
      key: "outboard/x",
    });
  }
});

Deno.test("layout: a value of up to 1 MiB is 0x00 and the bytes", async () => {
  for (const length of [0, 1, 1000, MIB]) {
    const store = openMemory();
    await putLong(store, "dir/x", pattern(length));
    assert.deepEqual(await Array.fromAsync(store.list("")), ["dir/x"]);
    sameBytes(await store.get("dir/x"), concat([Uint8Array.of(0), pattern(length)]));
    sameBytes(await getLong(store, "dir/x"), pattern(length));
  }
});

Deno.test("layout: a longer value is 0x01 and digest and length of each piece; pieces are chunks of 1 MiB", async () => {
  for (const length of [MIB + 1, 2 * MIB, 2 * MIB + 5, 9 * MIB + 1]) {
    const store = openMemory();
    const value = pattern(length);
    await putLong(store, "dir/x", value);
    const rows: Bytes[] = [Uint8Array.of(1)];
    const keys = new Set(["dir/x"]);
    for (let at = 0; at < length; at += MIB) {
      const piece = value.subarray(at, at + MIB);
      rows.push(blake3(piece), u32(piece.length));
      const key = "chunk/" + blake3(piece).toHex();
      sameBytes(await store.get(key), piece);
      keys.add(key);
    }
    sameBytes(await store.get("dir/x"), concat(rows));
    assert.deepEqual(await Array.fromAsync(store.list("")), [...keys].sort());
    for (const key of keys) assert.ok((await store.get(key))!.length <= MAX_VALUE_LENGTH);
    sameBytes(await getLong(store, "dir/x"), value);
    const pieces = piecesOf((await store.get("dir/x"))!, "dir/x");
    assert.deepEqual(pieces.map(({ digest }) => "chunk/" + digest.toHex()), [...keys].slice(1));
    assert.equal(pieces.reduce((sum, { size }) => sum + size, 0), length);
  }
});

Deno.test("layout: a long value is visible only when all its pieces are stored", async () => {
  const store = new WatchedStore(openMemory());
  store.before = ({ key }) => {
    if (store.calls.length === 2 && key.startsWith("chunk/")) throw new RangeError("no luck");
  };
  await assert.rejects(putLong(store, "dir/x", pattern(3 * MIB)), /no luck/);
  assert.equal(await getLong(store, "dir/x"), undefined);
});

Deno.test("layout: a long value that lacks a piece, or has another, is a DamageError", async () => {
  const value = pattern(2 * MIB + 5);
  const piece = "chunk/" + blake3(value.subarray(MIB, 2 * MIB)).toHex();
  const changed = value.slice(MIB, 2 * MIB);
  changed[77] ^= 1;
  for (const other of [undefined, changed, value.slice(MIB, 2 * MIB - 1), new Uint8Array(0)]) {
    const store = openMemory();
    await putLong(store, "dir/x", value);
    if (other) await store.put(piece, other);
    else await store.delete(piece);
    await assert.rejects(getLong(store, "dir/x"), DamageError);
  }
});

Deno.test("layout: what is no long value is a DamageError, and absence is undefined", async () => {
  const store = openMemory();
  assert.equal(await getLong(store, "dir/x"), undefined);
  for (const wrong of ["", "02", "0100", "ff00", "01" + "00".repeat(35)]) {
    await store.put("dir/x", fromHex(wrong));
    await assert.rejects(getLong(store, "dir/x"), DamageError, wrong);
  }
});
