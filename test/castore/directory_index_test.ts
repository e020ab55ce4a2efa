// Pages of encoded Directories: the index finds each item where it is, in the order of names.
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { type DirectoryItem, directoryOf, encodeDirectory } from "../../src/castore/directory.ts";
import { directoryIndex, directoryItems, itemAt } from "../../src/castore/read_directory.ts";

function itemsOf(count: number): DirectoryItem[] {
  return Array.from({ length: count }, (_, i) => {
    const name = fromText(`${(i * 7919) % 1000}-${i}`);
    const digest = new Uint8Array(32).fill(i);
    if (i % 3 === 0) return { name, node: { type: "symlink", target: fromText(`to ${i}`) } };
    if (i % 3 === 1) return { name, node: { type: "directory", digest, size: BigInt(i) } };
    return { name, node: { type: "file", digest, size: i * 1000, executable: i % 2 === 0 } };
  });
}

Deno.test("directory index: every item is found at its place, by name", () => {
  for (const count of [0, 1, 2, 3, 63, 64, 65, 1000]) {
    const encoded = encodeDirectory(directoryOf(itemsOf(count)));
    const index = directoryIndex(encoded);
    assert.equal(index.length, count);
    assert.deepEqual([...index].map((at) => itemAt(encoded, at)), [...directoryItems(encoded)]);
  }
});

Deno.test("directory index: what is no Directory is refused", () => {
  const encoded = encodeDirectory(directoryOf(itemsOf(10)));
  assert.throws(() => directoryIndex(encoded.subarray(0, encoded.length - 1)), { name: "FormatError" });
  assert.throws(() => directoryIndex(fromText("nonsense")), { name: "FormatError" });
});
