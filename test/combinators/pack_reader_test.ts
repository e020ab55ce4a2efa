/** Reading out of packs: neighbours share a read, memory is bounded, and many readers do not mind each other. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { openSqliteIndex } from "../../src/adapters/sqlite/sqlite_index.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { PackWriter } from "../../src/combinators/pack_format.ts";
import { PackReader } from "../../src/combinators/pack_reader.ts";
import { DamageError } from "../../src/errors.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pause, WatchedStore } from "../castore/_watched_store.ts";
import { pattern } from "../contract/_byte_store_samples.ts";

const MIB = 1024 * 1024;

/** Values of all lengths, among them some at every MiB of their pack. */
const LENGTHS = [
  ...[MIB - 1, 2, MIB - 1, 1, 0, 128 * 1024 - 1, 128 * 1024, 100],
  ...Array.from({ length: 1000 }, (_, i) => i),
];
const VALUES = LENGTHS.map((length, i) => pattern(length, i));

/** A reader of a store that holds a pack of these values, large and small under one name. */
async function openReader() {
  const [large, small] = [new WatchedStore(openMemory()), new WatchedStore(openMemory())];
  const writer = new PackWriter(new Uint8Array(4 * MIB));
  for (const [i, value] of VALUES.entries()) writer.add(`k${i}`, value);
  const entries = [...writer.entries];
  const pack = writer.end().bytes.slice();
  await large.put("pack/large", pack);
  await small.put("pack/small", pack.subarray(0, 1000));
  const index = openSqliteIndex(new DatabaseSync(":memory:"));
  await index.add("pack/large", false, entries);
  const reader = new PackReader({ bytes: large, names: small, index }, 4);
  const read = (i: number, range?: { start: number; end: number }) =>
    reader.read(`k${i}`, { ...entries[i], pack: "pack/large", small: false }, range);
  return { reader, large, small, read, pack, index };
}

Deno.test("pack reader: every value is read as it was put in, and every range of it", async () => {
  const { read } = await openReader();
  for (const [i, value] of VALUES.entries()) sameBytes(await read(i), value, `value ${i}`);
  for (const i of [0, 1, 2, 4, 6, 7, 500]) {
    const { length } = VALUES[i];
    const ranges = [
      [0, 1],
      [0, length],
      [length - 1, length + 5],
      [length, length],
      [length + 3, length + 9],
      [3, 50],
    ];
    for (const [start, end] of ranges.filter(([start]) => start >= 0)) {
      sameBytes(
        await read(i, { start, end }),
        VALUES[i].slice(start, end),
        `${start} to ${end} of value ${i}`,
      );
    }
  }
});

/** The long ones. */
const LONG = [0, 2, 6];

Deno.test("pack reader: long values asked for one after the other are read by themselves", async () => {
  const { read, large } = await openReader();
  for (const i of LONG) sameBytes(await read(i), VALUES[i]);
  assert.equal(large.count("get"), LONG.length);
  assert.deepEqual(LONG, [...VALUES.keys()].filter((i) => VALUES[i].length >= 128 * 1024));
});

Deno.test("pack reader: of a pack much is asked of at the same time one read is made, in any order and by parts", async () => {
  const { read, large } = await openReader();
  const parts = [{ start: 5, end: 9 }, undefined, { start: 0, end: MIB }, { start: 7, end: 8 }];
  const order = [2, 6, 0, 2];
  const values = await Promise.all(order.map((i, place) => read(i, parts[place])));
  for (const [place, value] of values.entries()) {
    sameBytes(value, VALUES[order[place]].slice(parts[place]?.start, parts[place]?.end), `the ${place}th`);
  }
  assert.equal(large.count("get"), 1);
});

Deno.test("pack reader: of a pack little is asked of at the same time no more is read", async () => {
  const { read, large } = await openReader();
  const range = { start: 1000, end: 200_000 };
  const values = await Promise.all([read(0, range), read(2, range)]);
  for (const [i, value] of values.entries()) sameBytes(value, VALUES[LONG[i]].slice(1000, 200_000));
  assert.equal(large.count("get"), 2);
});

Deno.test("pack reader: long values that are asked for at the same time, and of which some cannot be read", async () => {
  const { read, large, pack } = await openReader();
  await large.put("pack/large", pack.subarray(0, MIB + 100));
  const [first, second] = await Promise.allSettled([read(0), read(2)]);
  sameBytes(first.status === "fulfilled" ? first.value : undefined, VALUES[0]);
  assert.ok(second.status === "rejected" && second.reason instanceof DamageError);
  large.before = () => {
    throw new Error("no luck");
  };
  for (const reads of [[0, 2], [6]]) {
    for (const failed of await Promise.allSettled(reads.map((i) => read(i)))) {
      assert.ok(failed.status === "rejected" && failed.reason.message === "no luck");
    }
  }
});

Deno.test("pack reader: short neighbours share one read, also when all ask at the same time", async () => {
  const { reader, read, large } = await openReader();
  large.before = () => pause(5);
  const values = await Promise.all(VALUES.map((_, i) => read(i)));
  assert.equal(large.count("get"), 1);
  for (const [i, value] of values.entries()) sameBytes(value, VALUES[i]);
  sameBytes(reader.find("k300"), VALUES[300]);
  sameBytes(reader.find("k300", { start: 5, end: 9 }), VALUES[300].slice(5, 9));
  assert.equal(reader.find("k5000"), undefined);
});

Deno.test("pack reader: what was forgotten is not found among its neighbours", async () => {
  const { reader, read, index } = await openReader();
  await index.delete("k300");
  sameBytes(await read(301), VALUES[301]);
  assert.equal(reader.find("k300"), undefined);
  reader.forget("k301");
  assert.equal(reader.find("k301"), undefined);
  sameBytes(reader.find("k302"), VALUES[302]);
});

Deno.test("pack reader: a value by itself is read by itself, and is no pack", async () => {
  const { reader, large, pack } = await openReader();
  await large.put("value/alone", pack);
  const location = { pack: "value/alone", small: false, offset: 0, length: pack.length };
  sameBytes(await reader.read("alone", location), pack);
  sameBytes(await reader.read("alone", location, { start: 5, end: 9 }), pack.slice(5, 9));
  assert.equal(reader.find("k300"), undefined);
  await large.put("value/alone", pack.subarray(1));
  await assert.rejects(reader.read("alone", location), DamageError);
});

Deno.test("pack reader: small packs are another place", async () => {
  const { reader, small, large } = await openReader();
  const value = await reader.read("key", { pack: "pack/small", small: true, offset: 10, length: 20 });
  sameBytes(value, VALUES[0].slice(10, 30));
  assert.deepEqual([small.count("get"), large.count("get")], [1, 0]);
});

Deno.test("pack reader: a pack that was not there, or could not be read, is asked for again", async () => {
  const { read, large, pack } = await openReader();
  await large.delete("pack/large");
  await assert.rejects(read(0), DamageError);
  large.before = () => {
    throw new Error("no luck");
  };
  await assert.rejects(read(0), /no luck/);
  large.before = () => {};
  await large.put("pack/large", pack);
  sameBytes(await read(0), VALUES[0]);
});

Deno.test("pack reader: of a pack with a damaged table values are read one by one", async () => {
  const { reader, read, large, pack } = await openReader();
  const damaged = concat([pack.subarray(0, pack.length - 1), new Uint8Array(1)]);
  await large.put("pack/large", damaged);
  for (const i of [0, 3, 400]) sameBytes(await read(i), VALUES[i]);
  assert.equal(reader.find("k0"), undefined);
});

Deno.test("pack reader: of many packs few are kept in memory, those that are used", async () => {
  const large = new WatchedStore(openMemory());
  const names = Array.from({ length: 100 }, (_, i) => `pack/${String(i).padStart(2, "0")}`);
  for (const [i, name] of names.entries()) {
    const writer = new PackWriter(new Uint8Array(1000));
    writer.add(`k${i}`, pattern(100, i));
    await large.put(name, writer.end().bytes);
  }
  const index = openSqliteIndex(new DatabaseSync(":memory:"));
  const reader = new PackReader({ bytes: large, names: openMemory(), index }, 4);
  const get = async (i: number) => {
    const value = reader.find(`k${i}`) ??
      await reader.read(`k${i}`, { pack: names[i], small: false, offset: 0, length: 100 });
    sameBytes(value, pattern(100, i));
  };
  await get(0);
  for (let i = 1; i < 100; i++) {
    await get(i);
    await get(0);
  }
  assert.equal(large.count("get", names[0]), 1, "the pack in use was let go of");
  const kept = names.filter((_, i) => reader.find(`k${i}`) !== undefined).length;
  assert.ok(kept <= 32, `${kept} packs are kept`);
});
