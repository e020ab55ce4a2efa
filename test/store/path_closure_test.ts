// Closures as graphs: sizes that count every path once, also in circles; shortest chains; what is absent, and bounds.
import assert from "node:assert/strict";
import { parseStorePathBase, type StorePath } from "../../src/nix/store_path.ts";
import { type ClosurePath, pathClosure, shortestChain } from "../../src/store/path_closure.ts";
import { pathOf } from "../server/_site.ts";

const storePath = (name: string): StorePath => parseStorePathBase(pathOf(name));

/** Paths by their names, each with what it refers to; the size of the nth is 10^n. */
function graph(references: Record<string, string[]>): (name: string) => ClosurePath | undefined {
  const paths = Object.entries(references).map(([name, to], i) => ({
    storePath: storePath(name),
    references: to.map(storePath),
    narSize: 10 ** i,
  }));
  return (name) => paths.find((path) => path.storePath.name === name || path.storePath.hashPart === name);
}

async function closure(references: Record<string, string[]>, root: string, limit?: number) {
  const find = graph(references);
  return await pathClosure(find(root)!, { find: (hashPart) => Promise.resolve(find(hashPart)), limit });
}

Deno.test("path closure: what is shared counts once, and depth is by the shortest way", async () => {
  const { members, edges, absent, more } = await closure({
    a: ["a", "b", "c"],
    b: ["d"],
    c: ["d", "b"],
    d: [],
  }, "a");
  assert.deepEqual(members.map(({ path, closureSize, depth }) => [path.storePath.name, closureSize, depth]), [
    ["a", 1111, 0],
    ["b", 1010, 1],
    ["c", 1110, 1],
    ["d", 1000, 2],
  ]);
  assert.deepEqual(edges, [[0, 1], [0, 2], [1, 3], [2, 3], [2, 1]]);
  assert.deepEqual([absent, more], [[], false]);
});

Deno.test("path closure: paths in a circle reach the same", async () => {
  const { members } = await closure({ a: ["b"], b: ["c"], c: ["a", "d"], d: ["d"], e: [] }, "b");
  assert.deepEqual(
    Object.fromEntries(members.map(({ path, closureSize }) => [path.storePath.name, closureSize])),
    { a: 1111, b: 1111, c: 1111, d: 1000 },
  );
});

Deno.test("path closure: a long chain needs no deep stack, and the bound holds", async () => {
  const references = Object.fromEntries(
    Array.from({ length: 3000 }, (_, i) => [`n${i}`, i < 2999 ? [`n${i + 1}`] : []]),
  );
  const paths = new Map(Object.keys(references).map((name) => [storePath(name).hashPart, name]));
  const find = (hashPart: string) => {
    const name = paths.get(hashPart)!;
    return Promise.resolve({
      storePath: storePath(name),
      references: references[name].map(storePath),
      narSize: 1,
    });
  };
  const root = await find(storePath("n0").hashPart);
  const whole = await pathClosure(root, { find });
  assert.deepEqual([whole.members[0].closureSize, whole.members[2999].depth], [3000, 2999]);
  const cut = await pathClosure(root, { find, limit: 10 });
  assert.deepEqual([cut.members.length, cut.more], [10, true]);
});

Deno.test("path closure: what nobody knows is told, and does not count", async () => {
  const { members, absent } = await closure({ a: ["b", "x"], b: ["x", "y"] }, "a");
  assert.deepEqual(members.map(({ closureSize }) => closureSize), [11, 10]);
  assert.deepEqual(absent.map(({ name }) => name), ["x", "y"]);
});

Deno.test("path closure: a shortest chain, to itself, and none", async () => {
  const known = await closure({ a: ["b", "c"], b: ["c"], c: ["d"], d: ["a"] }, "a");
  const chain = (to: string) => shortestChain(known, storePath(to))?.map(({ storePath }) => storePath.name);
  assert.deepEqual(chain("d"), ["a", "c", "d"]);
  assert.deepEqual(chain("a"), ["a"]);
  assert.equal(chain("elsewhere"), undefined);
});

Deno.test("path closure: an aborted one ends with its reason", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  const find = graph({ a: ["b"], b: [] });
  await assert.rejects(
    pathClosure(find("a")!, { find: (hashPart) => Promise.resolve(find(hashPart)), signal }),
    /enough/,
  );
});
