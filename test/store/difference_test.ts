// How trees differ, compared with what going through both name by name gives.
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { toText } from "../../src/bytes/bytes.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { difference, type TreePart } from "../../src/store/difference.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { servicesOver } from "../../src/store/services.ts";
import { type Tree, treeNar } from "../server/_site.ts";

const services = servicesOver({ names: openMemory(), bytes: openMemory() });
const nodeOf = async (tree: Tree) =>
  (await ingestNar([await treeNar(tree)], { ...services, hashes: portableHashes })).node;
const compare = async (before: Tree, after: Tree, limits = {}) =>
  await difference(await nodeOf(before), await nodeOf(after), services.directories, limits);
const name = ({ path }: TreePart) => path.map(toText).join("/");

/** Files and symlinks of a tree by their paths; what they are as text. */
function leaves(tree: Tree, below = ""): Map<string, string> {
  const all = new Map<string, string>();
  for (const [name, item] of Object.entries(tree)) {
    const path = below + name;
    if (typeof item === "string") all.set(path, `file ${item}`);
    else if (typeof (item as { link?: unknown }).link === "string") {
      all.set(path, `link ${(item as { link: string }).link}`);
    } else for (const [path, leaf] of leaves(item as Tree, `${below}${name}/`)) all.set(path, leaf);
  }
  return all;
}

/** A tree made of few names and contents, so that much is the same, moved or changed. */
function randomTree(random: () => number, depth = 0): Tree {
  const tree: Record<string, Tree[string]> = {};
  for (const name of ["a", "b", "c", "d"]) {
    const kind = Math.floor(random() * (depth < 3 ? 6 : 4));
    if (kind === 1 || kind === 2) tree[name] = "contents " + Math.floor(random() * 6);
    else if (kind === 3) tree[name] = { link: "to " + Math.floor(random() * 2) };
    else if (kind > 3) tree[name] = randomTree(random, depth + 1);
  }
  return tree;
}

Deno.test("difference: sums and lists are those of going through both", async () => {
  let state = 7;
  const random = () => (state = state * 48271 % 0x7fffffff) / 0x7fffffff;
  for (let round = 0; round < 60; round++) {
    const [before, after] = [randomTree(random), randomTree(random)];
    const [old, now] = [leaves(before), leaves(after)];
    const found = await compare(before, after);
    const { sums } = found;
    const both = [...now].filter(([path]) => old.has(path));
    const same = both.filter(([path, leaf]) => old.get(path) === leaf);
    assert.equal(sums.same.count, same.length);
    assert.equal(
      sums.same.count + sums.changed.count + sums.added.count + sums.moved.count,
      now.size,
      "all of after",
    );
    const isChanged = ({ change }: { change: string }) => change === "contents" || change === "target";
    assert.equal(
      found.changed.filter(isChanged).length,
      both.filter(([path, leaf]) => old.get(path) !== leaf && old.get(path)!.slice(0, 4) === leaf.slice(0, 4))
        .length,
    );
    for (const { before, after } of found.moved) {
      assert.ok(name(before) !== name(after));
      if (after.node.type === "file") assert.equal(old.get(name(before)), now.get(name(after)));
    }
    const distinct = (leaves: Map<string, string>) =>
      new Set([...leaves.values()].filter((leaf) => leaf.startsWith("file")));
    const shared = [...distinct(now)].filter((leaf) => distinct(old).has(leaf));
    const bytes = (list: Iterable<string>) => [...list].reduce((sum, leaf) => sum + leaf.length - 5, 0);
    assert.equal(found.bytes.inSharedFiles, bytes(shared));
    assert.equal(found.bytes.after, bytes(distinct(now)));
  }
});

Deno.test("difference: lists are cut off and sums are not", async () => {
  const after = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, `new ${i}`]));
  const found = await compare({}, after, { list: 10 });
  assert.deepEqual([found.added.length, found.sums.added.count], [10, 50]);
  await assert.rejects(compare({}, after, { files: 10 }), { name: "LimitError" });
});

Deno.test("difference: roots that are files or links, and Directories that are gone", async () => {
  const file = { type: "file", digest: new Uint8Array(32), size: 3, executable: false } as const;
  const found = await difference(file, { ...file, executable: true }, services.directories);
  assert.deepEqual(found.changed.map(({ change }) => change), ["executable"]);
  const link = { type: "symlink", target: new Uint8Array([1]) } as const;
  assert.deepEqual((await difference(file, link, services.directories)).changed.map(({ change }) => change), [
    "type",
  ]);
  const gone = { type: "directory", digest: new Uint8Array(32), size: 0n } as const;
  await assert.rejects(difference(file, gone, services.directories), { name: "MissingError" });
});
