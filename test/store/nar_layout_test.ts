/** The layout of an archive: its length, any stretch of it, its listing, and trees that are too much. */
import assert from "node:assert/strict";
import { type Bytes, concat, toText } from "../../src/bytes/bytes.ts";
import { type Directory, directoryDigest, directoryOf, directorySize } from "../../src/castore/directory.ts";
import type { Node } from "../../src/castore/node.ts";
import { FormatError, LimitError, MissingError } from "../../src/errors.ts";
import { type ListingNode, parseListing } from "../../src/nar/listing.ts";
import { type NarLayout, narLayout } from "../../src/store/nar_layout.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { EMPTY_DIGEST, file, folder, symlink } from "../contract/_castore_samples.ts";
import { vector, VECTORS } from "../nar/_nars.ts";
import { permissions, testNeeding } from "../needs.ts";
import { deepNar, ingest, narOf, numbers, openStore, randomTree, type TestStore } from "./_trees.ts";

const test = testNeeding(permissions);

async function layoutOf(nar: Bytes): Promise<{ layout: NarLayout; store: TestStore; node: Node }> {
  const store = openStore();
  const { node } = await ingest(store, nar);
  return { layout: await narLayout(node, store.directories), store, node };
}

/** All blobs of a small store, by their digest. */
async function blobsOf(store: TestStore): Promise<Map<string, Bytes>> {
  const blobs = new Map<string, Bytes>();
  for await (const key of store.bytes.list("chunk/")) blobs.set(key.slice(6), (await store.bytes.get(key))!);
  return blobs;
}

function bytesOf(layout: NarLayout, blobs: Map<string, Bytes>, start?: number, end?: number): Bytes {
  const parts: Bytes[] = [];
  for (const segment of layout.segments(start, end)) {
    if (segment.type === "literal") parts.push(segment.bytes);
    else parts.push(blobs.get(segment.file.digest.toHex())!.subarray(segment.start, segment.end));
    assert.ok(parts.at(-1)!.length > 0, "a stretch of nothing");
  }
  return concat(parts);
}

test("layout: the length and all bytes of every archive", async () => {
  for (const name of Object.keys(VECTORS)) {
    const nar = vector(`${name}.nar`);
    const { layout, store } = await layoutOf(nar);
    assert.equal(layout.size, nar.length);
    sameBytes(bytesOf(layout, await blobsOf(store)), nar, name);
  }
});

test("layout: every stretch of the complicated archive", async () => {
  const nar = vector("complicated.nar");
  const { layout, store } = await layoutOf(nar);
  const blobs = await blobsOf(store);
  for (let start = 0; start <= nar.length; start++) {
    for (let end = start; end <= nar.length; end++) {
      const got = bytesOf(layout, blobs, start, end);
      if (got.length === end - start && got.every((byte, i) => byte === nar[start + i])) continue;
      sameBytes(got, nar.slice(start, end), `${start} to ${end}`);
    }
  }
});

Deno.test("layout: stretches of random trees, also beyond their ends", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const nar = await narOf(randomTree(seed, 400));
    const { layout, store } = await layoutOf(nar);
    const blobs = await blobsOf(store);
    const next = numbers(seed);
    for (let turn = 0; turn < 300; turn++) {
      const start = next(nar.length + 20);
      const end = start + next([10, 100, 1000, nar.length][turn % 4]);
      sameBytes(
        bytesOf(layout, blobs, start, end),
        nar.slice(start, end),
        `${start} to ${end} of tree ${seed}`,
      );
    }
    for (
      const [start, end] of [[nar.length, nar.length + 1], [nar.length + 9, nar.length + 10], [5, 5], [9, 3]]
    ) {
      assert.equal(bytesOf(layout, blobs, start, end).length, 0);
    }
    sameBytes(bytesOf(layout, blobs, 7), nar.slice(7));
  }
});

Deno.test("layout: blobs are named, not read, and those of no bytes are left out", async () => {
  const nar = await narOf({ a: pattern(5000), b: new Uint8Array(0) });
  const { layout } = await layoutOf(nar);
  const blobs = [...layout.segments()].filter((segment) => segment.type === "blob");
  assert.deepEqual(blobs.map(({ start, end, file }) => [start, end, file.size]), [[0, 5000, 5000]]);
  const part = [...layout.segments(1000, 1010)];
  assert.deepEqual(part.map((segment) => segment.type === "blob" && segment.end - segment.start), [10]);
});

test("layout: the listing Nix made", async () => {
  const { layout } = await layoutOf(vector("listed.nar"));
  assert.equal([...layout.listing()].join(""), toText(vector("listed.ls")));
});

Deno.test("layout: a listing says where in the archive each file's contents are", async () => {
  for (let seed = 20; seed < 30; seed++) {
    const nar = await narOf(randomTree(seed));
    const { layout } = await layoutOf(nar);
    let files = 0;
    const check = (node: ListingNode) => {
      if (node.type === "directory") return node.entries.forEach(check);
      if (node.type === "symlink") return;
      files++;
      // The length of the contents stands before them.
      const view = new DataView(nar.buffer, nar.byteOffset + node.narOffset! - 8);
      assert.equal(Number(view.getBigUint64(0, true)), node.size);
    };
    check(parseListing([...layout.listing()].join("")).root);
    const regular = new TextDecoder("latin1").decode(nar).split("contents").length - 1;
    assert.equal(files, regular);
  }
});

test("layout: a listing of one file, one symlink, one empty folder", async () => {
  const texts: string[] = [];
  for (const name of ["onebyteexecutable", "symlink", "emptydirectory"]) {
    texts.push([...(await layoutOf(vector(`${name}.nar`))).layout.listing()].join(""));
  }
  assert.deepEqual(texts, [
    '{"version":1,"root":{"type":"regular","size":1,"executable":true,"narOffset":128}}',
    '{"version":1,"root":{"type":"symlink","target":"/nix/store/somewhereelse"}}',
    '{"version":1,"root":{"type":"directory","entries":{}}}',
  ]);
});

test("layout: names that are no text cannot be listed", async () => {
  const { layout } = await layoutOf(vector("tree.nar"));
  assert.throws(() => [...layout.listing()], FormatError);
});

Deno.test("layout: a listing of 4096 folders inside each other", async () => {
  const { layout } = await layoutOf(await deepNar(4096, pattern(10)));
  let node = parseListing([...layout.listing()].join("")).root;
  let depth = 0;
  for (; node.type === "directory"; node = [...node.entries.values()][0]) depth++;
  assert.equal(depth, 4096);
});

/** Folders inside each other, leaves first: each level has `width` names for the one below. */
function tower(levels: number, width: number, bottom: Directory = directoryOf([])): Directory[] {
  const all = [bottom];
  for (let level = 1; level < levels; level++) {
    const below = all[all.length - 1];
    const [digest, size] = [directoryDigest(below), directorySize(below, "documented")];
    all.push(directoryOf(Array.from({ length: width }, (_, i) => folder(`d${i}`, digest, size))));
  }
  return all;
}

async function towerLayout(all: Directory[]): Promise<NarLayout> {
  const store = openStore();
  const digest = await store.directories.putClosure(all);
  return await narLayout({ type: "directory", digest, size: 0n }, store.directories);
}

Deno.test("layout: a tree that doubles at each of 60 levels is measured, and refused for its length", async () => {
  await assert.rejects(towerLayout(tower(60, 2)), LimitError);
});

Deno.test("layout: a tree that doubles at each of 40 levels is laid out, and read at both ends and inside", async () => {
  const layout = await towerLayout(tower(40, 2));
  // A folder has 72 bytes of words, each entry in it 96 and its node; the archive begins with 24.
  let length = 72;
  for (let level = 1; level < 40; level++) length = 72 + 2 * (96 + length);
  assert.equal(layout.size, 24 + length);
  for (
    const start of [0, 12_345, Math.floor(layout.size / 2), Math.floor(layout.size / 3), layout.size - 1000]
  ) {
    let length = 0;
    for (const segment of layout.segments(start, start + 1000)) {
      length += segment.type === "literal" ? segment.bytes.length : 0;
    }
    assert.equal(length, Math.min(1000, layout.size - start));
  }
  assert.ok(layout.weight < 100_000);
  assert.throws(() => [...layout.listing()], LimitError);
});

Deno.test("layout: over 4096 folders inside each other are a LimitError", async () => {
  assert.ok((await towerLayout(tower(4096, 1))).size > 0);
  await assert.rejects(towerLayout(tower(4097, 1)), LimitError);
});

Deno.test("layout: over 4096 folders inside each other are a LimitError, however the tree is shared", async () => {
  // `a` is 3,000 deep; `b` is 3,000 deep too, and at its bottom has what `a` has.
  const a = tower(3000, 1);
  const [digest, size] = [directoryDigest(a[2999]), directorySize(a[2999], "documented")];
  const b = tower(3000, 1, directoryOf([folder("again", digest, size), symlink("b", "b")]));
  const top = b[2999];
  const root = directoryOf([
    folder("a", digest, size),
    folder("b", directoryDigest(top), directorySize(top, "documented")),
  ]);
  await assert.rejects(towerLayout([...a, ...b, root]), LimitError);
});

Deno.test("layout: files whose sizes add up to 2^53 bytes are a LimitError", async () => {
  const huge = (count: number, size: number) =>
    directoryOf(Array.from({ length: count }, (_, i) => file(`f${i}`, EMPTY_DIGEST, size)));
  await assert.rejects(towerLayout([huge(1, Number.MAX_SAFE_INTEGER)]), LimitError);
  await assert.rejects(towerLayout([huge(3, 2 ** 52)]), LimitError);
  const layout = await towerLayout([huge(3, 2 ** 51)]);
  assert.ok(layout.size > 3 * 2 ** 51 && layout.size < 3 * 2 ** 51 + 1000);
  const end = [...layout.segments(layout.size - 16)];
  assert.deepEqual(end.map((segment) => segment.type === "literal" && segment.bytes.length), [16]);
});

test("layout: a Directory that is not stored is a MissingError", async () => {
  const store = openStore();
  const { node } = await ingest(store, vector("complicated.nar"));
  assert.ok(node.type === "directory");
  for (
    const digest of [
      node.digest,
      Uint8Array.fromHex("8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e"),
    ]
  ) {
    const value = (await store.bytes.get("dir/" + digest.toHex()))!;
    await store.bytes.delete("dir/" + digest.toHex());
    await assert.rejects(narLayout(node, store.directories), MissingError);
    await store.bytes.put("dir/" + digest.toHex(), value);
  }
  assert.equal((await narLayout(node, store.directories)).size, 840);
});

Deno.test("layout: memory is that of the Directories, told as a weight", async () => {
  const few = await layoutOf(await narOf({ a: "b" }));
  const many = await layoutOf(
    await narOf(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}`, "t"]))),
  );
  assert.ok(few.layout.weight > 0 && few.layout.weight < 5000);
  assert.ok(many.layout.weight > 5_000 && many.layout.weight < 2_000_000);
});
