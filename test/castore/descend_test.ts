/** Walking down: the rows that other implementations test, and the search for a name. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { compare, fromText } from "../../src/bytes/bytes.ts";
import { descend, find } from "../../src/castore/descend.ts";
import { formatDigest, parseDigest } from "../../src/castore/digest.ts";
import { directoriesOver } from "../../src/castore/directories_over.ts";
import { directoryOf } from "../../src/castore/directory.ts";
import type { Node } from "../../src/castore/node.ts";
import { FormatError, MissingError } from "../../src/errors.ts";
import { COMPLICATED, EMPTY_DIGEST, symlink, WITH_KEEP } from "../contract/_castore_samples.ts";

const ROOT: Node = { type: "directory", digest: COMPLICATED.digest, size: 4n };
const KEEP: Node = { type: "directory", digest: WITH_KEEP.digest, size: 1n };
const FILE: Node = { type: "file", digest: EMPTY_DIGEST, size: 0, executable: false };
const LINK: Node = { type: "symlink", target: fromText("/nix/store/somewhereelse") };

const path = (text: string) => text === "" ? [] : text.split("/").map(fromText);

async function complicated() {
  const directories = directoriesOver(openMemory());
  await directories.putClosure([WITH_KEEP.directory, COMPLICATED.directory]);
  return directories;
}

Deno.test("descend: to a folder, a file, a symlink, or nothing", async () => {
  const directories = await complicated();
  const rows: [string, Node | undefined][] = [
    ["", ROOT],
    ["keep", KEEP],
    ["keep/.keep", FILE],
    [".keep", FILE],
    ["aa", LINK],
    ["void", undefined],
    ["keep/void", undefined],
    [".keep/foo", undefined],
    ["aa/foo", undefined],
    ["keep/.keep/foo/bar", undefined],
    ["void/void", undefined],
    ["kee", undefined],
    ["keep2", undefined],
  ];
  for (const [text, want] of rows) assert.deepEqual(await descend(directories, ROOT, path(text)), want, text);
});

Deno.test("descend: from a root that is no folder", async () => {
  const directories = directoriesOver(openMemory());
  for (const root of [FILE, LINK]) {
    assert.deepEqual(await descend(directories, root, []), root);
    assert.equal(await descend(directories, root, path("a")), undefined);
  }
});

Deno.test("descend: a Directory that is not stored is a MissingError, if the path goes through it", async () => {
  const empty = directoriesOver(openMemory());
  assert.deepEqual(await descend(empty, ROOT, []), ROOT);
  await assert.rejects(descend(empty, ROOT, path("keep")), MissingError);
  const store = openMemory();
  const directories = directoriesOver(store);
  await directories.putClosure([WITH_KEEP.directory, COMPLICATED.directory]);
  await store.delete("dir/" + WITH_KEEP.digest.toHex());
  assert.deepEqual(await descend(directories, ROOT, path("keep")), KEEP);
  await assert.rejects(descend(directories, ROOT, path("keep/.keep")), (error) => {
    return error instanceof MissingError && error.message.includes(formatDigest(WITH_KEEP.digest));
  });
});

Deno.test("find: every name of a Directory and none beside it", () => {
  for (const count of [0, 1, 2, 3, 10, 100]) {
    const names = Array.from({ length: count }, (_, i) => `n${i * 2}`);
    const directory = directoryOf(names.map((name) => symlink(name, name)));
    for (const name of names) assert.deepEqual(find(directory, fromText(name)), symlink(name, name).node);
    for (const name of ["", "n", "n1", "n99999", "~", "0", "n0 ", "N0"]) {
      assert.equal(find(directory, fromText(name)), undefined, name);
    }
  }
  const odd = directoryOf(["a", "a'", "ab", "é", "\x7f", "A"].map((name) => symlink(name, "t")));
  for (const { name, node } of odd.items) assert.equal(find(odd, name), node);
  assert.ok(odd.items.every(({ name }, i) => i === 0 || compare(odd.items[i - 1].name, name) < 0));
});

Deno.test("digest: its text, both prefixes read, all else refused", () => {
  const hello = Uint8Array.fromHex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
  const text = "blake3-XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRww=";
  assert.equal(formatDigest(hello), text);
  assert.deepEqual(parseDigest(text), hello);
  assert.deepEqual(parseDigest(text.replace("blake3-", "b3:")), hello);
  const wrong = [
    "",
    "blake3-",
    text.slice(7),
    text.slice(0, -1),
    text + "=",
    `${text}\n`,
    "blake3:" + text.slice(7),
  ];
  wrong.push("b3-" + text.slice(7), "blake3-AAAA", text.replace("/", "_"), "sha256-" + text.slice(7));
  for (const bad of wrong) assert.throws(() => parseDigest(bad), FormatError, bad);
});
