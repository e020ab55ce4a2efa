// Where a text is mentioned: in every position, across pieces, in targets, in contents that stand in many places.
import assert from "node:assert/strict";
import { portableHashes } from "../../src/hash/hashes.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { concat, fromText, toText } from "../../src/bytes/bytes.ts";
import { findInFiles } from "../../src/store/find_in_files.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { servicesOver } from "../../src/store/services.ts";
import { noise, type Tree, treeNar } from "../server/_site.ts";

const TEXT = "0123456789abcdfghijklmnpqrsvwxyz";

async function found(tree: Tree): Promise<[string, boolean, number][]> {
  const services = servicesOver({ names: openMemory(), bytes: openMemory() });
  const { node } = await ingestNar([await treeNar(tree)], { ...services, hashes: portableHashes });
  const mentions: [string, boolean, number][] = [];
  for await (const { path, inTarget, offset } of findInFiles(node, TEXT, services)) {
    mentions.push([path.map(toText).join("/"), inTarget, offset]);
  }
  return mentions;
}

Deno.test("find in files: files and targets in the order of a NAR, the first mention of each", async () => {
  const tree = {
    a: `x${TEXT}y${TEXT}`,
    b: { c: TEXT, d: { link: `/nix/store/${TEXT}-x` }, same: `x${TEXT}y${TEXT}` },
    none: TEXT.slice(1) + TEXT.slice(0, 31),
  };
  assert.deepEqual(await found(tree), [
    ["a", false, 1],
    ["b/c", false, 0],
    ["b/d", true, 11],
    ["b/same", false, 1],
  ]);
});

Deno.test("find in files: wherever it stands in a long file, also across the pieces it is read in", async () => {
  const long = noise(1_500_000, 4);
  for (const at of [0, 1, 131_072, 262_144, 524_287, 524_288, 1_000_001, long.length]) {
    for (const shift of [-31, -16, -1, 0, 1]) {
      const start = Math.min(long.length, Math.max(0, at + shift));
      const file = concat([long.subarray(0, start), fromText(TEXT), long.subarray(start)]);
      assert.deepEqual(await found({ file }), [["file", false, start]]);
    }
  }
});
