/** What is kept in memory to be used again: values by their last use, buffers by their number. */
import assert from "node:assert/strict";
import { BufferPool } from "../../src/bytes/buffer_pool.ts";
import { Lru } from "../../src/bytes/lru.ts";

const held = (lru: Lru<string, number>, keys: string) =>
  [...keys].filter((key) => lru.get(key) !== undefined).join("");

Deno.test("lru: what was not used for longest goes first", () => {
  const lru = new Lru<string, number>(3);
  for (const [i, key] of [..."abc"].entries()) lru.set(key, i, 1);
  assert.equal(lru.get("a"), 0);
  lru.set("d", 3, 1);
  assert.equal(held(lru, "abcd"), "acd");
  lru.set("c", 9, 1);
  lru.set("e", 4, 1);
  assert.equal(lru.get("c"), 9);
  assert.equal(held(lru, "abcde"), "cde");
});

Deno.test("lru: the bound is on weight, of what is held now", () => {
  const lru = new Lru<string, number>(10);
  lru.set("a", 1, 4);
  lru.set("b", 2, 4);
  lru.set("c", 3, 2);
  assert.equal(held(lru, "abc"), "abc");
  lru.set("c", 3, 1);
  lru.set("d", 4, 1);
  assert.equal(held(lru, "abcd"), "abcd");
  lru.delete("b");
  lru.delete("b");
  lru.set("e", 5, 4);
  assert.equal(held(lru, "abcde"), "acde");
  lru.set("f", 6, 9);
  assert.equal(held(lru, "abcdef"), "f");
});

Deno.test("lru: a value heavier than the limit is not held, and takes the place of none but its own", () => {
  const lru = new Lru<string, number>(10);
  lru.set("a", 1, 5);
  lru.set("b", 2, 5);
  lru.set("a", 3, 11);
  assert.equal(held(lru, "ab"), "b");
});

Deno.test("buffer pool: buffers given back are used again, up to a number", () => {
  const pool = new BufferPool(16, 2);
  const [a, b, c] = [pool.take(), pool.take(), pool.take()];
  assert.equal(new Set([a, b, c]).size, 3);
  assert.deepEqual([a, b, c].map(({ length }) => length), [16, 16, 16]);
  for (const buffer of [a, b, c]) pool.give(buffer);
  const again = [pool.take(), pool.take(), pool.take()];
  assert.equal(again.filter((buffer) => [a, b, c].includes(buffer)).length, 2);
  assert.equal(new Set(again).size, 3);
});
