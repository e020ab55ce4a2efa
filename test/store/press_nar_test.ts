/** Pressed NARs: for any tree the file is the NAR in frames, the same in every store, and readable from anywhere. */
import assert from "node:assert/strict";
import { type Bytes, fromText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { blobKey, chunkKey, pressedKey } from "../../src/castore/layout.ts";
import type { Node } from "../../src/castore/node.ts";
import { DamageError, LimitError, MissingError } from "../../src/errors.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import { readPressed } from "../../src/store/press_nar.ts";
import { pressedName } from "../../src/store/pressed_nar.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { Press, unpressed } from "./_pressing.ts";
import { deepNar, narOf, numbers, randomTree, type Tree } from "./_trees.ts";

/** Bytes that no compressor makes shorter. */
function noise(length: number, seed: number): Bytes {
  const next = numbers(seed);
  return Uint8Array.from({ length }, () => next(256));
}

/** Text like that of programs. */
function words(length: number, seed: number): Bytes {
  const next = numbers(seed);
  let text = "";
  while (text.length < length) text += `${["let", "x", "=", "return", "value", "if"][next(6)]}${next(90)} `;
  return fromText(text.slice(0, length));
}

/** Many small files, some larger ones between them. */
function mixedTree(seed: number, files = 400): Tree {
  const next = numbers(seed);
  return Object.fromEntries(Array.from({ length: files }, (_, i) => {
    const length = next(12) === 0 ? next(40_000) : next(3000);
    return [`file-${String(i).padStart(5, "0")}`, words(length, i)];
  }));
}

const TREES: Record<string, () => Tree | Promise<Tree>> = {
  "an empty folder": () => ({}),
  "an empty file": () => new Uint8Array(0),
  "a symlink": () => "/nix/store/somewhere",
  "a small file": () => words(100, 1),
  "a file of the longest that go into runs": () => words(2048, 2),
  "a file one longer": () => words(2049, 3),
  "a file of one chunk": () => words(131_072, 4),
  "a file of one chunk that is looked up": () => noise(131_073, 5),
  "a long file": () => words(3_000_000, 6),
  "noise": () => noise(700_000, 7),
  "files larger and small": () => mixedTree(8),
  "only symlinks": () => Object.fromEntries(Array.from({ length: 9000 }, (_, i) => [`l${i}`, `../t${i}`])),
  "files of each kind": () => ({ "!x": words(10, 1), e: new Uint8Array(0), "!l": noise(200_000, 2), z: "x" }),
};
for (let seed = 1; seed <= 12; seed++) {
  TREES[`random tree ${seed}`] = () => randomTree(seed, seed % 3 === 0 ? 300_000 : 3000);
}

for (const [name, tree] of Object.entries(TREES)) {
  Deno.test(`press: ${name}: the file is the NAR in frames, the same in two stores`, async () => {
    const nar = await narOf(await tree());
    await using press = await Press.open();
    const node = await press.take(nar);
    const pressed = await press.press(node);
    const file = await press.file(pressed);
    assert.equal(pressed.narSize, nar.length);
    assert.equal(pressed.fileSize, file.length);
    sameBytes(pressed.sha256, sha256(file));
    sameBytes(unpressed(pressed, file), nar);
    // A store that was filled otherwise, and pressed before.
    await using other = await Press.open();
    await other.press(await other.take(await narOf({ before: mixedTree(3), x: words(5000, 6) })));
    await other.press(await other.take(nar));
    sameBytes(await other.file(await other.press(node)), file);
  });
}

Deno.test("press: a deep tree", async () => {
  const nar = await deepNar(4000, words(10, 1));
  await using press = await Press.open();
  const pressed = await press.press(await press.take(nar));
  sameBytes(unpressed(pressed, await press.file(pressed)), nar);
});

Deno.test("press: where chunks are stored plain, frames are raw", async () => {
  const nar = await narOf(mixedTree(5));
  await using press = await Press.open(0);
  const pressed = await press.press(await press.take(nar));
  assert.ok(pressed.fileSize > nar.length);
  sameBytes(unpressed(pressed, await press.file(pressed)), nar);
});

Deno.test("press: ranges at every frame's boundary, and one before and after, are those of the whole", async () => {
  await using press = await Press.open();
  const pressed = await press.press(
    await press.take(await narOf({ a: mixedTree(9, 60), b: noise(400_000, 2) })),
  );
  const whole = await press.file(pressed);
  assert.ok(pressed.count > 10);
  for (let row = 0; row <= pressed.count; row++) {
    for (const start of [-1, 0, 1].map((by) => pressed.offset(row) + by)) {
      if (start < 0 || start > whole.length) continue;
      const next = pressed.offset(Math.min(row + 1, pressed.count));
      for (const end of [start, start + 1, next - 1, next, next + 1, whole.length, whole.length + 9]) {
        sameBytes(await press.file(pressed, start, end), whole.slice(start, Math.max(start, end)));
      }
    }
  }
});

Deno.test("press: two versions of a tree share their runs but those that changed", async () => {
  const tree = mixedTree(11, 3000) as Record<string, Tree>;
  await using press = await Press.open();
  const digests = async (tree: Tree) => {
    const pressed = await press.press(await press.take(await narOf(tree)));
    return Array.from({ length: pressed.count }, (_, row) => toHex(pressed.digest(row)));
  };
  const before = new Set(await digests(tree));
  const after = await digests({ ...tree, "file-00003": words(99, 1), "file-01500a": words(2000, 7) });
  const changed = after.filter((digest) => !before.has(digest)).length;
  assert.ok(changed > 0 && changed <= 8, `${changed} of ${after.length} chunks changed`);
});

Deno.test("press: small files are few chunks", async () => {
  const files = Array.from({ length: 5000 }, (_, i) => [`f${i}`, words(300 + i % 700, i)]);
  await using press = await Press.open();
  const pressed = await press.press(await press.take(await narOf(Object.fromEntries(files))));
  assert.ok(pressed.narSize / pressed.count > 32 * 1024, `${pressed.count} chunks`);
});

Deno.test("press: over the most chunks is a LimitError, and leaves no record", async () => {
  await using press = await Press.open();
  const node = await press.take(await narOf(mixedTree(12, 300)));
  await assert.rejects(press.press(node, { mostChunks: 10 }), LimitError);
  assert.equal(await readPressed(press.options.bytes, node), undefined);
});

Deno.test("press: what is missing or damaged is told, and no record is left", async () => {
  const [small, long] = [words(500, 1), noise(900_000, 2)];
  for (const gone of ["small file", "chunk of a long file", "list"]) {
    await using press = await Press.open();
    const node = await press.take(await narOf({ a: small, b: long }));
    const { bytes, blobs } = press.options;
    const { digest } = await blobs.put(long);
    const [chunk] = (await blobs.chunks(digest))!;
    const key = gone === "small file"
      ? chunkKey((await blobs.put(small)).digest)
      : gone === "list"
      ? blobKey(digest)
      : chunkKey(chunk.digest);
    await bytes.delete(key);
    await assert.rejects(press.press(node), MissingError, gone);
    assert.equal(await readPressed(bytes, node), undefined);
  }
});

Deno.test("press: a record that is damaged or missing counts as none, and is made anew", async () => {
  await using press = await Press.open();
  const node = await press.take(await narOf(mixedTree(2, 50)));
  const { bytes } = press.options;
  const key = pressedKey(pressedName(node));
  assert.equal(await readPressed(bytes, node), undefined);
  const { sha256 } = await press.press(node);
  sameBytes((await readPressed(bytes, node))!.sha256, sha256);
  const damaged = (await bytes.get(key))!.slice();
  damaged[60] ^= 1;
  await bytes.delete(key);
  await bytes.put(key, damaged);
  assert.equal(await readPressed(bytes, node), undefined);
  await press.press(node);
  sameBytes((await readPressed(bytes, node))!.sha256, sha256);
});

Deno.test("press: a chunk that is stored plain when it is pressed may be compressed since; one the other way is told", async () => {
  const run = words(3000, 1);
  const nar = await narOf({ a: run, b: words(90_000, 2) });
  await using plain = await Press.open(0);
  await using framed = await Press.open();
  const node = await plain.take(nar);
  await framed.take(nar);
  const [ofPlain, ofFramed] = [await plain.press(node), await framed.press(node)];
  sameBytes(await framed.file(ofPlain), await plain.file(ofPlain));
  sameBytes(await framed.file(ofPlain, 10, 60_000), (await plain.file(ofPlain)).slice(10, 60_000));
  await assert.rejects(plain.file(ofFramed), (error) => {
    return error instanceof DamageError && /Cannot use chunk blake3-\S+: its frame has/.test(error.message);
  });
});

Deno.test("press: ended by a signal, it leaves no record", async () => {
  await using press = await Press.open();
  const node = await press.take(await narOf(mixedTree(4)));
  await assert.rejects(press.press(node, { signal: AbortSignal.abort(new Error("enough")) }), /enough/);
  assert.equal(await readPressed(press.options.bytes, node), undefined);
});

Deno.test("press: the name of a record is of what is in the NAR, whatever sizes a node says", () => {
  const digest = fromHex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
  const name = (node: Node) => toHex(pressedName(node));
  const names = [
    name({ type: "directory", digest, size: 4n }),
    name({ type: "file", digest, size: 12, executable: false }),
    name({ type: "file", digest, size: 12, executable: true }),
    name({ type: "symlink", target: fromText("target") }),
    name({ type: "symlink", target: digest }),
  ];
  assert.equal(new Set(names).size, names.length);
  assert.equal(name({ type: "directory", digest, size: 9n }), names[0]);
  assert.equal(name({ type: "file", digest, size: 1, executable: false }), names[1]);
});
