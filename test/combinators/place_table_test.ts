/** The compact table of places, against a `Map` that is told the same. */
import assert from "node:assert/strict";
import { type Place, PlaceTable } from "../../src/combinators/place_table.ts";
import { seeded } from "../hash/_inputs.ts";

const next = seeded(71);
const word = () => (next(65536) * 65536 + next(65536)).toString(16).padStart(8, "0");
const digest = () => Array.from({ length: 8 }, word).join("");
const place = (): Place => ({ pack: next(2 ** 24), offset: next(4 << 20), length: next(1 + (4 << 20)) });

function ensureEqual(table: PlaceTable, map: Map<string, Place>, keys: Iterable<string>): void {
  assert.equal(table.size, map.size);
  for (const key of keys) assert.deepEqual(table.get(key), map.get(key), key);
}

Deno.test("place table: it is what a Map is, through growth, moves and deletes", () => {
  const table = new PlaceTable();
  const map = new Map<string, Place>();
  const prefixes = ["chunk/", "dir/", "", "blob/", "chunk/a"];
  const keys = Array.from({ length: 6000 }, (_, i) => i % 7 ? prefixes[i % 5] + digest() : `odd/${word()}`);
  // Digests that begin alike must not be taken for each other, or lose each other when one goes.
  for (let i = 0; i < 300; i++) keys.push("chunk/" + "00000000".repeat(2) + digest().slice(16));
  for (let step = 0; step < 60_000; step++) {
    const key = keys[next(keys.length)];
    if (next(3) === 0) {
      assert.deepEqual(table.delete(key), map.get(key));
      map.delete(key);
    } else {
      const where = place();
      table.set(key, where);
      map.set(key, where);
    }
  }
  ensureEqual(table, map, keys);
  for (
    const prefix of ["", "chunk/", "chunk", "c", "dir/0", "odd/", "chunk/00000000", "chunk/a", "zz", digest()]
  ) {
    const want = [...map.keys()].filter((key) => key.startsWith(prefix)).sort();
    assert.deepEqual([...table.keys(prefix)], want, prefix);
  }
  for (const key of keys) table.delete(key);
  assert.equal(table.size, 0);
  assert.deepEqual([...table.keys("")], []);
});

Deno.test("place table: keys that only look like digests are told apart", () => {
  const table = new PlaceTable();
  const lower = digest().replace(/^./, "a");
  const keys = [
    lower,
    lower.toUpperCase(),
    lower.slice(1),
    "a" + lower,
    lower + "a",
    `x/${lower}`,
    `X/${lower}`,
  ];
  const places = keys.map((key) => [key, place()] as const);
  for (const [key, where] of places) table.set(key, where);
  ensureEqual(table, new Map(places), [...keys, `y/${lower}`, "g" + lower.slice(1)]);
});

Deno.test("place table: a list goes on in order while keys come and go", () => {
  const table = new PlaceTable();
  const keys = Array.from({ length: 2000 }, () => "chunk/" + digest()).sort();
  for (const key of keys) table.set(key, place());
  const got: string[] = [];
  for (const key of table.keys("")) {
    got.push(key);
    // What is deleted ahead is not listed, and rows that are free are not mixed up with those that come.
    table.delete(keys[got.length + 500] ?? "");
    table.set("chunk/" + digest(), place());
    table.delete(key);
  }
  assert.deepEqual(got, [...new Set(got)].sort());
  assert.ok(got.length < 1700 && got.length > 900, `${got.length}`);
  const [first] = table.keys("");
  table.delete(first);
  const size = table.size;
  table.set(first, place());
  assert.equal(table.size, size + 1);
});

Deno.test("place table: more kinds of keys than have a number", () => {
  const table = new PlaceTable();
  const places = Array.from({ length: 600 }, (_, i) => [`kind${i}/${digest()}`, place()] as const);
  for (const [key, where] of places) table.set(key, where);
  ensureEqual(table, new Map(places), places.map(([key]) => key));
  assert.deepEqual(
    [...table.keys("kind5")],
    places.map(([key]) => key).filter((key) => /^kind5/.test(key)).sort(),
  );
});
