/** Reading out of packs: windows, their borders, and many readers. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { PackReader } from "../../src/combinators/pack_reader.ts";
import { DamageError } from "../../src/errors.ts";
import { pause, WatchedStore } from "../castore/_watched_store.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";

const WINDOW = 1024 * 1024;
const PACK = pattern(4 * WINDOW - 5);

async function openReader() {
  const [large, small] = [new WatchedStore(openMemory()), new WatchedStore(openMemory())];
  await large.put("pack", PACK);
  await small.put("pack", PACK.slice(0, 1000).reverse());
  const reader = new PackReader(large, small);
  const read = (offset: number, length: number, range?: { start: number; end: number }) =>
    reader.read("key", { pack: "pack", small: false, offset, length }, range);
  return { reader, large, small, read };
}

Deno.test("pack reader: values at, over and around the borders of windows", async () => {
  const { read } = await openReader();
  for (const border of [0, WINDOW, 2 * WINDOW, 3 * WINDOW, PACK.length]) {
    for (const before of [0, 1, 100, 60_000]) {
      for (const after of [0, 1, 100, 60_000]) {
        const [start, end] = [Math.max(0, border - before), Math.min(PACK.length, border + after)];
        sameBytes(await read(start, end - start), PACK.slice(start, end), `${start} to ${end}`);
      }
    }
  }
});

Deno.test("pack reader: long values, and ranges of them", async () => {
  const { read } = await openReader();
  for (const length of [128 * 1024 - 1, 128 * 1024, WINDOW, 2 * WINDOW + 1, PACK.length]) {
    for (const offset of [0, 7, PACK.length - length]) {
      if (offset + length > PACK.length) continue;
      const value = PACK.slice(offset, offset + length);
      assert.deepEqual(await read(offset, length), value);
      for (
        const [start, end] of [[0, 1], [length - 1, length + 5], [5, 3], [length, length], [
          length + 3,
          length + 9,
        ]]
      ) {
        sameBytes(
          await read(offset, length, { start, end }),
          value.slice(start, end),
          `${start} to ${end}`,
        );
      }
      const half = length >> 1;
      sameBytes(await read(offset, length, { start: half, end: length }), value.slice(half));
    }
  }
});

Deno.test("pack reader: neighbours share one read, also when they ask at the same time", async () => {
  const { read, large } = await openReader();
  large.before = () => pause(5);
  const values = await Promise.all(Array.from({ length: 1000 }, (_, i) => read(i * 1000, 1000)));
  assert.equal(large.count("get"), 1);
  for (const [i, value] of values.entries()) sameBytes(value, PACK.slice(i * 1000, i * 1000 + 1000));
  for (let i = 0; i < 100; i++) await read(i * 5000, 500);
  assert.equal(large.count("get"), 1);
});

Deno.test("pack reader: what was read is the caller's own", async () => {
  const { read } = await openReader();
  (await read(10, 100)).fill(0);
  (await read(10, 200_000)).fill(0);
  sameBytes(await read(10, 100), PACK.slice(10, 110));
});

Deno.test("pack reader: small packs are another place", async () => {
  const { reader, small } = await openReader();
  const value = await reader.read("key", { pack: "pack", small: true, offset: 10, length: 20 });
  sameBytes(value, PACK.slice(970, 990).reverse());
  assert.equal(small.count("get"), 1);
});

Deno.test("pack reader: a pack that was not there, or could not be read, is asked for again", async () => {
  const { read, large } = await openReader();
  await large.delete("pack");
  await assert.rejects(read(0, 10), DamageError);
  await large.put("pack", PACK);
  sameBytes(await read(0, 10), PACK.slice(0, 10));
  large.before = () => {
    throw new Error("no luck");
  };
  await assert.rejects(read(WINDOW, 10), /no luck/);
  large.before = () => {};
  sameBytes(await read(WINDOW, 10), PACK.slice(WINDOW, WINDOW + 10));
});

Deno.test("pack reader: memory is bounded, and windows that are used stay", async () => {
  const { reader, large } = await openReader();
  for (let i = 0; i < 40; i++) await large.put(`pack/${i}`, PACK.subarray(0, 1000));
  const read = (i: number) => reader.read("key", { pack: `pack/${i}`, small: false, offset: 0, length: 10 });
  await read(0);
  for (let i = 1; i < 40; i++) {
    await read(i);
    await read(0);
  }
  assert.equal(large.count("get", "pack/0"), 1);
  await read(1);
  assert.equal(
    large.count("get", "pack/1"),
    1 + 10 + 1,
    "pack/1 was let go of and read again; pack/10 to 19 once each",
  );
});

Deno.test("pack reader: many readers of one store at once get what they asked for", async () => {
  const { read, large } = await openReader();
  large.before = () => pause(1);
  const spots = Array.from(
    { length: 500 },
    (_, i) => ({ offset: (i * 104_729) % (PACK.length - 200_000), length: i * 397 }),
  );
  const values = await Promise.all(spots.map(({ offset, length }) => read(offset, length)));
  for (const [i, { offset, length }] of spots.entries()) {
    sameBytes(values[i], PACK.slice(offset, offset + length));
  }
});
